"""Cityscapes, fine annotations: 19 classes of the 34 ids that its label files hold."""

from pathlib import Path

from dualseg.core.errors import first_few
from dualseg.core.labels import IGNORE_INDEX, LabelSpec
from dualseg.data.dataset import FileDataset, Pair
from dualseg.data.datasets.layout import Layout

# Name, colour, id in *_labelIds.png; the order is that of the ids in *_labelTrainIds.png.
CLASSES = (
    ("road", (128, 64, 128), 7),
    ("sidewalk", (244, 35, 232), 8),
    ("building", (70, 70, 70), 11),
    ("wall", (102, 102, 156), 12),
    ("fence", (190, 153, 153), 13),
    ("pole", (153, 153, 153), 17),
    ("traffic light", (250, 170, 30), 19),
    ("traffic sign", (220, 220, 0), 20),
    ("vegetation", (107, 142, 35), 21),
    ("terrain", (152, 251, 152), 22),
    ("sky", (70, 130, 180), 23),
    ("person", (220, 20, 60), 24),
    ("rider", (255, 0, 0), 25),
    ("car", (0, 0, 142), 26),
    ("truck", (0, 0, 70), 27),
    ("bus", (0, 60, 100), 28),
    ("train", (0, 80, 100), 31),
    ("motorcycle", (0, 0, 230), 32),
    ("bicycle", (119, 11, 32), 33),
)
NAMES = tuple(name for name, _, _ in CLASSES)
PALETTE = tuple(color for _, color, _ in CLASSES)
ALL_IDS = (-1, *range(34), 255)  # -1 is a license plate; some writers store it as 255
LABEL_IDS = LabelSpec(
    NAMES,
    PALETTE,
    values=dict.fromkeys(ALL_IDS, IGNORE_INDEX)
    | {raw: class_id for class_id, (_, _, raw) in enumerate(CLASSES)},
)
TRAIN_IDS = LabelSpec(NAMES, PALETTE, values=dict(LabelSpec(NAMES, PALETTE).values) | {-1: 255})
CITYSCAPES_LAYOUT = Layout(
    title="Cityscapes",
    homes=(".", "cityscapes", "Cityscapes"),
    tree="leftImg8bit/{train,val}/CITY/*_leftImg8bit.png and "
    "gtFine/{train,val}/CITY/*_gtFine_labelIds.png (or *_gtFine_labelTrainIds.png)",
    origin="https://www.cityscapes-dataset.com after registration: leftImg8bit_trainvaltest.zip "
    "and gtFine_trainvaltest.zip",
)
IMAGE_FOLDERS = ("leftImg8bit", "leftImg8bit_trainvaltest/leftImg8bit")
LABEL_FOLDERS = ("gtFine", "gtFine_trainvaltest/gtFine")
IMAGE_ENDING = "_leftImg8bit.png"
DUMMY_LABELS = {"test": "its label files are dummies, an online server scores it"}


def open_cityscapes(root: Path, split: str) -> FileDataset:
    """One split: 2975 train, 500 val.

    Label files with the ids of the release are read where there are any, else those with train ids,
    which cityscapesScripts write.

    Args:
        root: Holds `leftImg8bit/` and `gtFine/`, or their `_trainvaltest` folders; or its parent.
        split: train or val.

    Raises:
        InputError: The layout is another one, or an image has no label.

    Source: Cordts et al. 2016, arXiv:1604.01685; ids as in cityscapesScripts, labels.py.
    """
    CITYSCAPES_LAYOUT.require_split(split, ("train", "val"), refused=DUMMY_LABELS)
    images = CITYSCAPES_LAYOUT.find_any(root, *(f"{at}/{split}" for at in IMAGE_FOLDERS))
    labels = CITYSCAPES_LAYOUT.find_any(root, *(f"{at}/{split}" for at in LABEL_FOLDERS))
    files = sorted(images.glob(f"*/*{IMAGE_ENDING}"))
    kind, spec = _label_kind(labels)
    pairs = CITYSCAPES_LAYOUT.require_files(
        [_pair(image, labels, kind) for image in files], named_by=images
    )
    _require_images(pairs, labels, kind)
    return FileDataset(pairs, spec, split)


def _label_kind(labels: Path) -> tuple[str, LabelSpec]:
    """Ending of the label files, and what their values mean."""
    if any(labels.glob("*/*_gtFine_labelIds.png")):
        return "labelIds", LABEL_IDS
    if any(labels.glob("*/*_gtFine_labelTrainIds.png")):
        return "labelTrainIds", TRAIN_IDS
    return "labelIds", LABEL_IDS


def _pair(image: Path, labels: Path, kind: str) -> Pair:
    name = image.name.removesuffix(IMAGE_ENDING)
    return Pair(name, image, labels / image.parent.name / f"{name}_gtFine_{kind}.png")


def _require_images(pairs: tuple[Pair, ...], labels: Path, kind: str) -> None:
    """Label files without an image: a half-unpacked archive."""
    alone = sorted(set(labels.glob(f"*/*_gtFine_{kind}.png")) - {pair.label for pair in pairs})
    if alone:
        raise CITYSCAPES_LAYOUT.error(
            f"{len(alone)} label files have no image", first_few([str(path) for path in alone])
        )
