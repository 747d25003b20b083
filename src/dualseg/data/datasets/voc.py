"""PASCAL VOC 2012, the segmentation part: 20 things and background, object borders ignored."""

from collections.abc import Iterable
from pathlib import Path

from dualseg.core.labels import LabelSpec, voc_palette
from dualseg.data.dataset import FileDataset, Pair
from dualseg.data.datasets.layout import Layout, read_names

# Raw values are the class ids; 255, the drawn border of objects, is ignored.
VOC_LABELS = LabelSpec(
    class_names=(
        "background",
        "aeroplane",
        "bicycle",
        "bird",
        "boat",
        "bottle",
        "bus",
        "car",
        "cat",
        "chair",
        "cow",
        "diningtable",
        "dog",
        "horse",
        "motorbike",
        "person",
        "pottedplant",
        "sheep",
        "sofa",
        "train",
        "tvmonitor",
    ),
    palette=voc_palette(21),
)
VOC_LAYOUT = Layout(
    title="PASCAL VOC 2012",
    homes=(".", "VOC2012", "VOCdevkit/VOC2012"),
    tree="VOC2012/ with JPEGImages/*.jpg, SegmentationClass/*.png and "
    "ImageSets/Segmentation/{train,val,trainval}.txt",
    origin="http://host.robots.ox.ac.uk/pascal/VOC/voc2012 (VOCtrainval_11-May-2012.tar), "
    "or with `dualseg data download voc --out DIR`",
)
SPLITS = ("train", "val", "trainval")
NO_TEST_LABELS = {"test": "its labels are not public, an online server scores it"}


def open_voc(root: Path, split: str) -> FileDataset:
    """One split: 1464 train, 1449 val, 2913 trainval.

    Args:
        root: `VOC2012/`, `VOCdevkit/` or the folder that holds it.
        split: train, val or trainval.

    Raises:
        InputError: The layout is another one, or files are missing.

    Source: Everingham et al. 2015, "The PASCAL Visual Object Classes Challenge: A Retrospective".
    """
    VOC_LAYOUT.require_split(split, SPLITS, refused=NO_TEST_LABELS)
    listed = f"ImageSets/Segmentation/{split}.txt"
    home = VOC_LAYOUT.find(root, "JPEGImages", "SegmentationClass", listed)
    pairs = voc_pairs(home, read_names(home / listed))
    return FileDataset(VOC_LAYOUT.require_files(pairs, named_by=home / listed), VOC_LABELS, split)


def voc_pairs(home: Path, names: Iterable[str], *, labels: str = "SegmentationClass") -> list[Pair]:
    """Images of VOC with their label files.

    Args:
        home: `VOC2012/`.
        names: Without folder and suffix.
        labels: Folder of the label files.
    """
    images = home / "JPEGImages"
    return [Pair(name, images / f"{name}.jpg", home / labels / f"{name}.png") for name in names]
