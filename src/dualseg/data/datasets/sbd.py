"""The Semantic Boundaries Dataset: VOC's classes on 11 355 images, as MATLAB files.

Its splits are not VOC's: some of its images are in VOC 2012's validation split. To train for a
score on that, use `voc_aug`.
"""

from pathlib import Path

import numpy as np

from dualseg.core.errors import InputError
from dualseg.data.dataset import FileDataset, Pair, RawValues, read_label_file
from dualseg.data.datasets.layout import Layout, read_names
from dualseg.data.datasets.matlab import read_struct_field
from dualseg.data.datasets.voc import VOC_LABELS

SBD_LAYOUT = Layout(
    title="SBD",
    homes=(".", "benchmark_RELEASE/dataset", "dataset", "SBD", "sbd"),
    tree="benchmark_RELEASE/dataset/ with img/*.jpg, cls/*.mat, train.txt and val.txt",
    origin="http://home.bharathh.info/pubs/codes/SBD/download.html (benchmark.tgz), "
    "or with `dualseg data download sbd --out DIR`",
)
SPLITS = ("train", "val", "trainval", "train_noval")


def open_sbd(root: Path, split: str) -> FileDataset:
    """One split: 8498 train, 2857 val.

    Args:
        root: `dataset/`, `benchmark_RELEASE/` or the folder that holds it.
        split: train, val, trainval, or train_noval where its list has been added (train without
            the images of VOC 2012's validation split).

    Raises:
        InputError: The layout is another one, or files are missing.

    Source: Hariharan et al. 2011, "Semantic Contours from Inverse Detectors".
    """
    SBD_LAYOUT.require_split(split, SPLITS)
    lists = ("train.txt", "val.txt") if split == "trainval" else (f"{split}.txt",)
    home = SBD_LAYOUT.find(root, "img", "cls", *lists)
    names = dict.fromkeys(name for listed in lists for name in read_names(home / listed))
    pairs = SBD_LAYOUT.require_files(
        [sbd_pair(home, name) for name in names], named_by=home / lists[0]
    )
    return FileDataset(pairs, VOC_LABELS, split, read_values=read_voc_or_sbd)


def sbd_pair(home: Path, name: str) -> Pair:
    """An image of SBD with its label file.

    Args:
        home: `benchmark_RELEASE/dataset/`.
        name: Without folder and suffix.
    """
    return Pair(name, home / "img" / f"{name}.jpg", home / "cls" / f"{name}.mat")


def read_voc_or_sbd(pair: Pair) -> RawValues:
    """Class ids of a label file, VOC's PNG or SBD's MATLAB file.

    Raises:
        InputError: It cannot be read.
    """
    if pair.label.suffix != ".mat":
        return read_label_file(pair)
    values = read_struct_field(pair.label, "GTcls", "Segmentation")
    if values.dtype != np.uint8:
        raise InputError(f"{pair.label}: GTcls.Segmentation holds {values.dtype}, expected uint8")
    return np.ascontiguousarray(values, np.uint8)
