"""VOC 2012 with SBD's labels added, "trainaug": 10 582 training images, VOC's validation split."""

from pathlib import Path

from dualseg.data.dataset import FileDataset, Pair
from dualseg.data.datasets.layout import Layout, read_names
from dualseg.data.datasets.sbd import SBD_LAYOUT, read_voc_or_sbd, sbd_pair
from dualseg.data.datasets.voc import (
    NO_TEST_LABELS,
    VOC_LABELS,
    VOC_LAYOUT,
    open_voc,
    voc_pairs,
)

LABEL_FOLDER = "SegmentationClassAug"
LISTS = (
    "ImageSets/Segmentation/trainaug.txt",
    "ImageSets/Segmentation/train_aug.txt",
    "ImageSets/SegmentationAug/train_aug.txt",
    "list/train_aug.txt",
)
SBD_HOMES = ("benchmark_RELEASE/dataset", "VOCaug/dataset", "SBD", "sbd", "SBD/dataset")
VOC_AUG_LAYOUT = Layout(
    title="PASCAL VOC 2012 with SBD (trainaug)",
    homes=VOC_LAYOUT.homes,
    tree="VOC2012/ as VOC's own, and either SegmentationClassAug/*.png in it (with "
    f"{LISTS[0]}) or SBD's benchmark_RELEASE/dataset/ beside VOC2012/ or VOCdevkit/",
    origin="the places of voc and sbd, or with `dualseg data download voc_aug --out DIR`",
)


def open_voc_aug(root: Path, split: str) -> FileDataset:
    """One split: 10 582 train, 1449 val (VOC's own).

    Training images are VOC's train and SBD's train and val, without VOC's val. Where both label an
    image, VOC's own label is taken, except in ready-made folders, which hold one label an image.

    Args:
        root: `VOC2012/`, `VOCdevkit/` or the folder that holds it.
        split: train or val.

    Raises:
        InputError: The layout is another one, or files are missing.
    """
    VOC_AUG_LAYOUT.require_split(split, ("train", "val"), refused=NO_TEST_LABELS)
    if split == "val":
        return open_voc(root, "val")
    home = VOC_AUG_LAYOUT.find(root, "JPEGImages", "ImageSets/Segmentation/val.txt")
    pairs = _ready_made(home) if (home / LABEL_FOLDER).is_dir() else _merged(root, home)
    return FileDataset(pairs, VOC_LABELS, split, read_values=read_voc_or_sbd)


def _ready_made(home: Path) -> tuple[Pair, ...]:
    """Pairs of a list; without one, every label that is not in VOC's val."""
    listed = next((home / at for at in LISTS if (home / at).is_file()), None)
    if listed is not None:
        names = read_names(listed)
    else:
        val = set(read_names(home / "ImageSets/Segmentation/val.txt"))
        names = sorted({path.stem for path in (home / LABEL_FOLDER).glob("*.png")} - val)
    pairs = voc_pairs(home, names, labels=LABEL_FOLDER)
    return VOC_AUG_LAYOUT.require_files(pairs, named_by=listed or home / LABEL_FOLDER)


def _merged(root: Path, home: Path) -> tuple[Pair, ...]:
    voc_lists = [home / f"ImageSets/Segmentation/{split}.txt" for split in ("train", "val")]
    VOC_AUG_LAYOUT.find(root, "SegmentationClass", "ImageSets/Segmentation/train.txt")
    train, val = (read_names(listed) for listed in voc_lists)
    sbd = _sbd_home(root, home)
    known = {*train, *val}
    added = [n for listed in ("train.txt", "val.txt") for n in read_names(sbd / listed)]
    pairs = voc_pairs(home, train)
    pairs += [sbd_pair(sbd, name) for name in dict.fromkeys(added) if name not in known]
    return VOC_AUG_LAYOUT.require_files(pairs, named_by=voc_lists[0])


def _sbd_home(root: Path, home: Path) -> Path:
    """SBD in the user's folder or in one that holds VOC's."""
    for outer in dict.fromkeys((root, home.parent, home.parent.parent)):
        for inner in SBD_HOMES:
            if (outer / inner / "cls").is_dir():
                return SBD_LAYOUT.find(outer / inner, "img", "cls", "train.txt", "val.txt")
    raise VOC_AUG_LAYOUT.error(f"{home} holds no {LABEL_FOLDER}/, and there is no SBD beside it")
