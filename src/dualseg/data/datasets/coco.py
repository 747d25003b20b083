"""COCO 2017's object annotations as label maps: VOC's 21 classes, or all 80 things and background.

Where annotations overlap, the first in the file wins. Crowd annotations (regions of many objects,
drawn as one) are drawn like others, with their class: they are made of it for the most part, and
background would be wrong for sure.
"""

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

from dualseg.core.errors import InputError
from dualseg.core.geometry import Size
from dualseg.core.labels import LabelSpec, voc_palette
from dualseg.data.dataset import FileDataset, Pair, RawValues
from dualseg.data.datasets.coco_shapes import shape_mask
from dualseg.data.datasets.layout import Layout
from dualseg.data.datasets.voc import VOC_LABELS

# COCO's category id of VOC's classes, in VOC's order; 0 is background in both.
VOC_CATEGORIES = (0, 5, 2, 16, 9, 44, 6, 3, 17, 62, 21, 67, 18, 19, 4, 1, 64, 20, 63, 7, 72)
# Category ids have gaps: 91 were planned, 80 have annotations.
THINGS = {
    1: "person",
    2: "bicycle",
    3: "car",
    4: "motorcycle",
    5: "airplane",
    6: "bus",
    7: "train",
    8: "truck",
    9: "boat",
    10: "traffic light",
    11: "fire hydrant",
    13: "stop sign",
    14: "parking meter",
    15: "bench",
    16: "bird",
    17: "cat",
    18: "dog",
    19: "horse",
    20: "sheep",
    21: "cow",
    22: "elephant",
    23: "bear",
    24: "zebra",
    25: "giraffe",
    27: "backpack",
    28: "umbrella",
    31: "handbag",
    32: "tie",
    33: "suitcase",
    34: "frisbee",
    35: "skis",
    36: "snowboard",
    37: "sports ball",
    38: "kite",
    39: "baseball bat",
    40: "baseball glove",
    41: "skateboard",
    42: "surfboard",
    43: "tennis racket",
    44: "bottle",
    46: "wine glass",
    47: "cup",
    48: "fork",
    49: "knife",
    50: "spoon",
    51: "bowl",
    52: "banana",
    53: "apple",
    54: "sandwich",
    55: "orange",
    56: "broccoli",
    57: "carrot",
    58: "hot dog",
    59: "pizza",
    60: "donut",
    61: "cake",
    62: "chair",
    63: "couch",
    64: "potted plant",
    65: "bed",
    67: "dining table",
    70: "toilet",
    72: "tv",
    73: "laptop",
    74: "mouse",
    75: "remote",
    76: "keyboard",
    77: "cell phone",
    78: "microwave",
    79: "oven",
    80: "toaster",
    81: "sink",
    82: "refrigerator",
    84: "book",
    85: "clock",
    86: "vase",
    87: "scissors",
    88: "teddy bear",
    89: "hair drier",
    90: "toothbrush",
}
COCO_VOC_LABELS = LabelSpec(
    VOC_LABELS.class_names,
    VOC_LABELS.palette,
    values={category: class_id for class_id, category in enumerate(VOC_CATEGORIES)},
)
COCO_THINGS_LABELS = LabelSpec(
    ("background", *THINGS.values()),
    voc_palette(len(THINGS) + 1),
    values={category: class_id for class_id, category in enumerate((0, *THINGS))},
)
COCO_LAYOUT = Layout(
    title="COCO 2017",
    homes=(".", "coco", "COCO"),
    tree="{train,val}2017/*.jpg (or images/{train,val}2017/) and "
    "annotations/instances_{train,val}2017.json",
    origin="https://cocodataset.org: train2017.zip, val2017.zip and annotations_trainval2017.zip",
)
SPLITS = ("train", "val")
NO_TEST_LABELS = {"test": "its labels are not public, an online server scores it"}
MIN_PIXELS = 1000  # an image of VOC's classes is used above this
NEAR = 0.2  # areas this near to the limit are counted on the drawn label


def open_coco(root: Path, split: str) -> FileDataset:
    """Images with more than 1000 pixels of VOC's 20 things.

    Args:
        root: Holds `annotations/` and the image folders, or its parent.
        split: train or val.

    Raises:
        InputError: The layout is another one, images are missing, or the annotations are faulty.

    Source: Lin et al. 2014, arXiv:1405.0312; classes and threshold as DeepLab's pretraining.
    """
    return _open(root, split, COCO_VOC_LABELS, min_pixels=MIN_PIXELS)


def open_coco_things(root: Path, split: str) -> FileDataset:
    """Images with an annotation of any of the 80 things; see `open_coco`."""
    return _open(root, split, COCO_THINGS_LABELS, min_pixels=0)


def _open(root: Path, split: str, labels: LabelSpec, *, min_pixels: int) -> FileDataset:
    COCO_LAYOUT.require_split(split, SPLITS, refused=NO_TEST_LABELS)
    images = COCO_LAYOUT.find_any(root, f"{split}2017", f"images/{split}2017")
    file = COCO_LAYOUT.find_any(root, f"annotations/instances_{split}2017.json")
    annotations = Annotations(file, categories=frozenset(labels.values) - {0})
    pairs = COCO_LAYOUT.require_files(
        [Pair(Path(name).stem, images / name, file) for name in annotations.names(min_pixels)],
        named_by=file,
    )
    return FileDataset(pairs, labels, split, read_values=annotations.draw)


class Annotations:
    """The annotations of a COCO file, ready to be drawn.

    Args:
        file: `instances_*.json`; the one of train takes some gigabytes while it is read.
        categories: Category ids that are drawn; others are left out.

    Raises:
        InputError: It cannot be read, or is no such file.
    """

    def __init__(self, file: Path, *, categories: frozenset[int]):
        self.file = file
        self._sizes: dict[str, Size] = {}
        self._shapes: dict[str, list[tuple[int, float, Any]]] = {}
        content = _read_json(file)
        try:
            names = {image["id"]: Path(image["file_name"]).name for image in content["images"]}
            for image in content["images"]:
                self._sizes[names[image["id"]]] = (int(image["height"]), int(image["width"]))
            for shape in content["annotations"]:
                if shape["category_id"] in categories:
                    entry = (
                        int(shape["category_id"]),
                        float(shape.get("area", 0)),
                        _compact(shape["segmentation"]),
                    )
                    self._shapes.setdefault(names[shape["image_id"]], []).append(entry)
        except (KeyError, TypeError, ValueError) as error:
            raise InputError(
                f"{file} is no COCO annotation file ({type(error).__name__}: {error})"
            ) from None

    def names(self, min_pixels: int) -> list[str]:
        """Images with more than `min_pixels` labelled pixels, in the order of the file."""
        return [name for name in self._sizes if self._has_more(name, min_pixels)]

    def draw(self, pair: Pair) -> RawValues:
        """(H, W) category ids, 0 where nothing is annotated.

        Raises:
            InputError: A shape does not fit the image.
        """
        return self._draw(pair.image.name)

    def _has_more(self, name: str, pixels: int) -> bool:
        """By the areas in the file where they leave no doubt: drawing all takes minutes."""
        areas = [area for _, area, _ in self._shapes.get(name, [])]
        least, most = max(areas, default=0), sum(areas)  # shapes may overlap
        if 0 not in areas and (least > (1 + NEAR) * pixels or most < (1 - NEAR) * pixels):
            return least > pixels
        return int(np.count_nonzero(self._draw(name))) > pixels

    def _draw(self, name: str) -> RawValues:
        values = np.zeros(self._sizes[name], np.uint8)
        for category, _, shape in self._shapes.get(name, []):
            try:
                values[shape_mask(shape, values.shape) & (values == 0)] = category
            except (ValueError, KeyError, TypeError) as error:
                raise InputError(f"{self.file}: a shape of {name} is faulty ({error})") from None
        return values


def _read_json(file: Path) -> Mapping[str, Any]:
    try:
        with open(file, encoding="utf-8") as stream:
            content = json.load(stream)
    except OSError as error:
        raise InputError(f"cannot read {file}: {error.strerror}") from None
    except (ValueError, RecursionError) as error:
        raise InputError(f"{file} is no JSON ({error}); is it cut off?") from None
    if not isinstance(content, dict):
        raise InputError(f"{file} is no COCO annotation file; it holds a {type(content).__name__}")
    return content


def _compact(shape: Any) -> Any:
    """Numbers as arrays, which take a tenth of the memory of lists."""
    if isinstance(shape, dict):
        counts = shape["counts"]
        packed = counts if isinstance(counts, str) else np.asarray(counts, np.int32)
        return {"counts": packed}
    return [np.asarray(polygon, np.float32) for polygon in shape]
