"""COCO-Stuff: all 171 things and stuff of COCO 2017, from the label maps of `stuffthingmaps`."""

from pathlib import Path

from dualseg.core.labels import IGNORE_INDEX, LabelSpec, voc_palette
from dualseg.data.dataset import FileDataset, Pair
from dualseg.data.datasets.coco import NO_TEST_LABELS, SPLITS, THINGS
from dualseg.data.datasets.layout import Layout

# Label ids 92 to 182; a label map holds the id less one, things as well.
STUFF = (
    "banner",
    "blanket",
    "branch",
    "bridge",
    "building-other",
    "bush",
    "cabinet",
    "cage",
    "cardboard",
    "carpet",
    "ceiling-other",
    "ceiling-tile",
    "cloth",
    "clothes",
    "clouds",
    "counter",
    "cupboard",
    "curtain",
    "desk-stuff",
    "dirt",
    "door-stuff",
    "fence",
    "floor-marble",
    "floor-other",
    "floor-stone",
    "floor-tile",
    "floor-wood",
    "flower",
    "fog",
    "food-other",
    "fruit",
    "furniture-other",
    "grass",
    "gravel",
    "ground-other",
    "hill",
    "house",
    "leaves",
    "light",
    "mat",
    "metal",
    "mirror-stuff",
    "moss",
    "mountain",
    "mud",
    "napkin",
    "net",
    "paper",
    "pavement",
    "pillow",
    "plant-other",
    "plastic",
    "platform",
    "playingfield",
    "railing",
    "railroad",
    "river",
    "road",
    "rock",
    "roof",
    "rug",
    "salad",
    "sand",
    "sea",
    "shelf",
    "sky-other",
    "skyscraper",
    "snow",
    "solid-other",
    "stairs",
    "stone",
    "straw",
    "structural-other",
    "table",
    "tent",
    "textile-other",
    "towel",
    "tree",
    "vegetable",
    "wall-brick",
    "wall-concrete",
    "wall-other",
    "wall-panel",
    "wall-stone",
    "wall-tile",
    "wall-wood",
    "water-other",
    "waterdrops",
    "window-blind",
    "window-other",
    "wood",
)
FIRST_STUFF = 92
IDS = (*THINGS, *range(FIRST_STUFF, FIRST_STUFF + len(STUFF)))
COCO_STUFF_LABELS = LabelSpec(
    class_names=(*THINGS.values(), *STUFF),
    palette=voc_palette(len(IDS) + 1)[1:],
    values={label_id - 1: class_id for class_id, label_id in enumerate(IDS)} | {255: IGNORE_INDEX},
)
COCO_STUFF_LAYOUT = Layout(
    title="COCO-Stuff",
    homes=(".", "coco", "COCO", "cocostuff", "coco_stuff164k"),
    tree="{train,val}2017/*.jpg (or images/{train,val}2017/) and "
    "stuffthingmaps/{train,val}2017/*.png (or annotations/{train,val}2017/)",
    origin="https://github.com/nightrome/cocostuff (stuffthingmaps_trainval2017.zip); images are "
    "those of https://cocodataset.org",
)


def open_coco_stuff(root: Path, split: str) -> FileDataset:
    """One split: 118 287 train, 5000 val.

    Args:
        root: Holds `stuffthingmaps/` and the image folders, or its parent.
        split: train or val.

    Raises:
        InputError: The layout is another one, or an image has no label.

    Source: Caesar et al. 2018, arXiv:1612.03716.
    """
    COCO_STUFF_LAYOUT.require_split(split, SPLITS, refused=NO_TEST_LABELS)
    images = COCO_STUFF_LAYOUT.find_any(root, f"{split}2017", f"images/{split}2017")
    labels = COCO_STUFF_LAYOUT.find_any(
        root, f"stuffthingmaps/{split}2017", f"annotations/{split}2017"
    )
    pairs = COCO_STUFF_LAYOUT.require_files(
        [Pair(i.stem, i, labels / f"{i.stem}.png") for i in sorted(images.glob("*.jpg"))],
        named_by=images,
    )
    return FileDataset(pairs, COCO_STUFF_LABELS, split)
