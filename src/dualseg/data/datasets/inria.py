"""Inria Aerial Image Labeling: building or not, on 180 tiles of 5000x5000 from five regions.

mIoU is over both classes; Inria's own score is the IoU of `building` alone.
"""

import re
from pathlib import Path

from dualseg.core.labels import LabelSpec
from dualseg.data.dataset import FileDataset, Pair
from dualseg.data.datasets.layout import Layout

INRIA_LABELS = LabelSpec(
    class_names=("not building", "building"),
    palette=((0, 0, 0), (255, 255, 255)),
    values={0: 0, 255: 1},
)
INRIA_LAYOUT = Layout(
    title="Inria Aerial Image Labeling",
    homes=(".", "AerialImageDataset"),
    tree="AerialImageDataset/train/ with images/*.tif and gt/*.tif of the same names",
    origin="https://project.inria.fr/aerialimagelabeling/files",
)
VAL_TILES = range(1, 6)  # of each region


def open_inria(root: Path, split: str) -> FileDataset:
    """One split: 155 train, 25 val (tiles 1 to 5 of each region, as its authors advise).

    Args:
        root: `AerialImageDataset/` or its parent.
        split: train or val.

    Raises:
        InputError: The layout is another one, or a tile has no label.

    Source: Maggiori et al. 2017, "Can Semantic Labeling Methods Generalize to Any City?".
    """
    INRIA_LAYOUT.require_split(
        split, ("train", "val"), refused={"test": "its labels are not public"}
    )
    home = INRIA_LAYOUT.find(root, "train/images", "train/gt")
    images, labels = home / "train" / "images", home / "train" / "gt"
    pairs = INRIA_LAYOUT.require_files(
        [
            Pair(image.stem, image, labels / image.name)
            for image in sorted(images.glob("*.tif"), key=_region_and_tile)
            if (_region_and_tile(image)[1] in VAL_TILES) == (split == "val")
        ],
        named_by=images,
    )
    return FileDataset(pairs, INRIA_LABELS, split)


def _region_and_tile(image: Path) -> tuple[str, int]:
    """`tyrol-w12.tif` -> ("tyrol-w", 12); a name without a number is no published tile: train."""
    found = re.fullmatch(r"(.*?)(\d+)", image.stem)
    return (found[1], int(found[2])) if found else (image.stem, 0)
