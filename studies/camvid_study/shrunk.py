"""CamVid at half size, as a data set of its own.

A network at 90x120 input must learn from what a camera of 180x240 pixels would have seen: with the
large pictures at hand, a crop that is enlarged would show it detail that such a camera has not.
"""

import os
from pathlib import Path

import cv2
import numpy as np
import torch
from PIL import Image

from camvid_study.splits import SPLITS, split_digest
from dualseg.core.errors import InputError
from dualseg.core.files import new_folder
from dualseg.core.geometry import shrink_label_maps
from dualseg.data.dataset import FileDataset
from dualseg.data.datasets.camvid import open_camvid

SHRUNK_FOLDER = "camvid_at_half_size"
NOTE = """CamVid at half size, made by studies/camvid.py from {root}.
Images: means of 2x2 pixels. Labels: every second row and column (the nearest pixel to each centre),
so that thin classes keep their share of the pixels. Derived from data for research use.
"""


def make_shrunk(root: Path, target: Path) -> Path:
    """Writes the copy where it is not there yet; returns its folder, in CamVid's layout.

    Where two processes of a study begin at once, the first copy that is whole stays.

    Args:
        root: CamVid.
        target: The new folder.

    Raises:
        InputError: `root` is no CamVid, or the copy that is there has other pictures in train or
            val.
    """
    if target.is_dir():
        if split_digest(target) != split_digest(root):
            raise InputError(
                f"{target} is a copy of data with other pictures in train or val than {root} has; "
                "give the data it was made of, or another --out"
            )
        return target
    splits = [open_camvid(root, split) for split in SPLITS]
    target.parent.mkdir(parents=True, exist_ok=True)
    try:
        with new_folder(target) as folder:
            for split in splits:
                _write_split(split, folder)
            (folder / "README.md").write_text(NOTE.format(root=os.path.basename(root)))
    except InputError:
        if not target.is_dir():
            raise
        return make_shrunk(root, target)
    return target


def _write_split(split: FileDataset, folder: Path) -> None:
    images, labels = folder / split.split, folder / f"{split.split}annot"
    images.mkdir()
    labels.mkdir()
    lines = []
    for index, pair in enumerate(split.pairs):
        name = f"{pair.name}.png"
        Image.fromarray(half_image(split.image(index))).save(images / name)
        Image.fromarray(half_labels(split.raw_values(index))).save(labels / name)
        lines.append(f"{split.split}/{name} {split.split}annot/{name}\n")
    (folder / f"{split.split}.txt").write_text("".join(lines))


def half_image(image: np.ndarray) -> np.ndarray:
    """(H, W, 3) -> (H/2, W/2, 3): means of 2x2 pixels."""
    size = image.shape[1] // 2, image.shape[0] // 2
    return np.asarray(cv2.resize(image, size, interpolation=cv2.INTER_AREA), np.uint8)


def half_labels(values: np.ndarray) -> np.ndarray:
    """(H, W) -> (H/2, W/2), by the one rule by which the package shrinks labels."""
    size = values.shape[0] // 2, values.shape[1] // 2
    batch = torch.from_numpy(np.array(values, np.uint8))[None]
    return shrink_label_maps(batch, size)[0].numpy()
