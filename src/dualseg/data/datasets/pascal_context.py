"""PASCAL Context: the 59 most frequent classes on VOC 2010's images, or 60 with background.

Read are label PNGs as the common converters write them: 0 background, 1 to 59 in the alphabetical
order of the names. Not read are `trainval_merged.json` itself, which needs its authors' detail API,
and the 459-class MATLAB files of the first release.
"""

from pathlib import Path

from dualseg.core.labels import IGNORE_INDEX, LabelSpec, voc_palette
from dualseg.data.dataset import FileDataset
from dualseg.data.datasets.layout import Layout, read_names
from dualseg.data.datasets.voc import NO_TEST_LABELS, voc_pairs

NAMES = (
    "aeroplane",
    "bag",
    "bed",
    "bedclothes",
    "bench",
    "bicycle",
    "bird",
    "boat",
    "book",
    "bottle",
    "building",
    "bus",
    "cabinet",
    "car",
    "cat",
    "ceiling",
    "chair",
    "cloth",
    "computer",
    "cow",
    "cup",
    "curtain",
    "dog",
    "door",
    "fence",
    "floor",
    "flower",
    "food",
    "grass",
    "ground",
    "horse",
    "keyboard",
    "light",
    "motorbike",
    "mountain",
    "mouse",
    "person",
    "plate",
    "platform",
    "pottedplant",
    "road",
    "rock",
    "sheep",
    "shelves",
    "sidewalk",
    "sign",
    "sky",
    "snow",
    "sofa",
    "table",
    "track",
    "train",
    "tree",
    "truck",
    "tvmonitor",
    "wall",
    "water",
    "window",
    "wood",
)
COLORS = voc_palette(len(NAMES) + 1)
CONTEXT59_LABELS = LabelSpec(
    class_names=NAMES,
    palette=COLORS[1:],
    values={value: value - 1 for value in range(1, len(NAMES) + 1)}
    | {0: IGNORE_INDEX, 255: IGNORE_INDEX},
)
CONTEXT60_LABELS = LabelSpec(class_names=("background", *NAMES), palette=COLORS)
CONTEXT_LAYOUT = Layout(
    title="PASCAL Context",
    homes=(".", "VOC2010", "VOCdevkit/VOC2010"),
    tree="VOC2010/ with JPEGImages/*.jpg, SegmentationClassContext/*.png (values 0 to 59) and "
    "ImageSets/SegmentationContext/{train,val}.txt",
    origin="https://cs.stanford.edu/~roozbeh/pascal-context, converted to PNG with the detail API "
    "(https://github.com/zhanghang1989/detail-api); images are VOC 2010's",
)


def open_pascal_context(root: Path, split: str, *, background: bool = False) -> FileDataset:
    """One split: 4998 train, 5105 val.

    Args:
        root: `VOC2010/`, `VOCdevkit/` or the folder that holds it.
        split: train or val.
        background: 60 classes, the first for everything else, in place of 59 that ignore it.

    Raises:
        InputError: The layout is another one, or files are missing.

    Source: Mottaghi et al. 2014, "The Role of Context for Object Detection and Semantic
        Segmentation in the Wild".
    """
    CONTEXT_LAYOUT.require_split(split, ("train", "val"), refused=NO_TEST_LABELS)
    listed = f"ImageSets/SegmentationContext/{split}.txt"
    home = CONTEXT_LAYOUT.find(root, "JPEGImages", "SegmentationClassContext", listed)
    pairs = CONTEXT_LAYOUT.require_files(
        voc_pairs(home, read_names(home / listed), labels="SegmentationClassContext"),
        named_by=home / listed,
    )
    return FileDataset(pairs, CONTEXT60_LABELS if background else CONTEXT59_LABELS, split)
