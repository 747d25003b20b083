"""Which image belongs to which mask, and which split each pair is in."""

import hashlib
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path

from dualseg.core.errors import InputError, first_few
from dualseg.data.dataset import Pair
from dualseg.data.datasets.folder_lists import find_side_by_side, read_listed_pairs
from dualseg.data.images import IMAGE_SUFFIXES

IMAGE_FOLDERS = ("images", "image", "imgs", "img", "JPEGImages")
MASK_FOLDERS = (
    "masks",
    "mask",
    "labels",
    "label",
    "annotations",
    "gt",
    "SegmentationClass",
)
SPLIT_FOLDERS = {
    "train": ("train", "training"),
    "val": ("val", "valid", "validation"),
    "test": ("test", "testing"),
}
MASK_SUFFIXES = ("_mask", "_label", "_labels", "_gt")
VAL_SHARE = 0.2
SPLIT_SEED = "dualseg split 0"
SHOWN = 5

Pairs = dict[str, tuple[Pair, ...]]
Folders = dict[str, tuple[Path, Path]]


def find_pairs(root: Path) -> tuple[Pairs, list[str]]:
    """The pairs of every split.

    Args:
        root: See `describe_folder`.

    Returns:
        Pairs by split, train and val among them unless only other splits exist, and notes. Where
        there is no val, about a fifth of train becomes it, chosen by a hash of the name.

    Raises:
        InputError: A folder is missing or empty, a file has no partner or two, or there are too few
            pairs to split; all faulty files are counted.
    """
    listed = read_listed_pairs(root)
    if listed is None and not _holds_folders(root):
        listed = find_side_by_side(root, MASK_SUFFIXES)
    if listed is None:
        pairs, notes = _pairs_of_folders(root)
    else:
        pairs, notes = listed[0], [listed[1]]
    if "train" in pairs and "val" not in pairs:
        total = len(pairs["train"])
        pairs["train"], pairs["val"] = hold_out(pairs["train"], root)
        notes.append(
            f"split: no {'folder' if listed is None else 'list'} for val, so {len(pairs['val'])} "
            f"of {total} images are held out, chosen by a hash of the name"
        )
    sizes = ", ".join(f"{len(files)} {split}" for split, files in pairs.items())
    return pairs, [*notes, f"images: {sizes}"]


def _holds_folders(root: Path) -> bool:
    known = (*IMAGE_FOLDERS, *MASK_FOLDERS, *(n for names in SPLIT_FOLDERS.values() for n in names))
    return bool(_matching(root, known))


def _pairs_of_folders(root: Path) -> tuple[Pairs, list[str]]:
    """Pairs of parallel folders, before anything is held out."""
    folders, notes = _split_pairs_of_folders(root)
    faults: list[str] = []
    pairs = {split: _pair(*both, root, faults) for split, both in folders.items()}
    if faults:
        raise InputError(
            f"images and masks in {root} do not fit together; a mask is named as its image, "
            f"perhaps with {', '.join(MASK_SUFFIXES)} at the end:",
            faults,
        )
    return pairs, notes


def _split_pairs_of_folders(root: Path) -> tuple[Folders, list[str]]:
    """(image folder, mask folder) of each split; a flat folder is all train."""
    outer = _split_folders(root)
    if outer and not _matching(root, IMAGE_FOLDERS):
        inner = {split: (_image_folder(at), _mask_folder(at)) for split, at in outer.items()}
        return _complete(inner, {split: _nothing_in(at) for split, at in outer.items()})
    images, masks = _image_folder(root), _mask_folder(root)
    if images is None or masks is None:
        raise InputError(_nothing_in(root))
    image_splits, mask_splits = _split_folders(images), _split_folders(masks)
    if not image_splits:
        return {"train": (images, masks)}, _unread(images)
    inner = {split: (at, mask_splits.get(split)) for split, at in image_splits.items()}
    missing = {
        split: f"{at} has no counterpart in {masks}; {_found(masks)}"
        for split, at in image_splits.items()
    }
    return _complete(inner, missing)


def _complete(
    inner: Mapping[str, tuple[Path | None, Path | None]], missing: Mapping[str, str]
) -> tuple[Folders, list[str]]:
    """The splits that have both folders; a test split without masks is left out with a note."""
    folders: Folders = {}
    notes = []
    for split, (images, masks) in inner.items():
        if images is not None and masks is not None:
            folders[split] = (images, masks)
        elif split == "test" and images is not None:
            notes.append(f"split: {images} has no masks and is left out")
        else:
            raise InputError(missing[split])
    return folders, notes


def _image_folder(parent: Path) -> Path | None:
    return _folder(parent, IMAGE_FOLDERS)


def _mask_folder(parent: Path) -> Path | None:
    return _folder(parent, MASK_FOLDERS)


def _split_folders(parent: Path) -> dict[str, Path]:
    """Sub-folders named as splits, train first."""
    found = {}
    for split, names in SPLIT_FOLDERS.items():
        folder = _folder(parent, names)
        if folder is not None:
            found[split] = folder
    return found


def _folder(parent: Path, names: Sequence[str]) -> Path | None:
    """The sub-folder with one of the names; of several the only one that holds pictures."""
    found = _matching(parent, names)
    if len(found) > 1:
        found = [folder for folder in found if _holds_pictures(folder)] or found[:1]
    if len(found) > 1:
        both = " and ".join(folder.name for folder in found)
        raise InputError(f"{parent} holds {both}, which mean the same; keep one of them there")
    return found[0] if found else None


def _matching(parent: Path, names: Sequence[str]) -> list[Path]:
    wanted = {name.lower() for name in names}
    return [p for p in sorted(parent.iterdir()) if p.is_dir() and p.name.lower() in wanted]


def _holds_pictures(folder: Path) -> bool:
    return any(_is_picture(path) for path in folder.rglob("*"))


def _pictures(folder: Path) -> list[Path]:
    return [path for path in sorted(folder.iterdir()) if _is_picture(path)]


def _is_picture(path: Path) -> bool:
    named = path.suffix.lower() in IMAGE_SUFFIXES and not path.name.startswith(".")
    return named and path.is_file()


def _pair(images: Path, masks: Path, root: Path, faults: list[str]) -> tuple[Pair, ...]:
    """Pairs of two folders; what has no partner is added to the faults."""
    image_files, mask_files = _pictures(images), _pictures(masks)
    empty = [f for f, files in ((images, image_files), (masks, mask_files)) if not files]
    if empty:
        faults += [f"{_short(folder, root)} holds no picture; {_found(folder)}" for folder in empty]
        return ()
    stems = {path.stem for path in image_files}
    by_stem = {path.stem: path for path in image_files}
    by_image: dict[str, Path] = {}
    alone, doubled = [], _doubled(image_files)
    for path in mask_files:
        stem = _image_stem(path.stem, stems)
        if stem is None:
            alone.append(path)
        elif stem in by_image:
            doubled += [by_image[stem], path]
        else:
            by_image[stem] = path
    missing = [by_stem[stem] for stem in sorted(stems - set(by_image))]
    faults += _fault(missing, f"images have no mask in {_short(masks, root)}", root)
    faults += _fault(alone, f"masks have no image in {_short(images, root)}", root)
    faults += _fault(doubled, "files share their name with another one", root)
    return tuple(Pair(stem, by_stem[stem], by_image[stem]) for stem in sorted(set(by_image)))


def _image_stem(mask_stem: str, image_stems: set[str]) -> str | None:
    """The image a mask belongs to: of the same name, else of the name without a suffix."""
    bare = [mask_stem.removesuffix(s) for s in MASK_SUFFIXES if mask_stem.endswith(s)]
    return next((stem for stem in (mask_stem, *bare) if stem in image_stems), None)


def _doubled(files: list[Path]) -> list[Path]:
    times = Counter(path.stem for path in files)
    return [path for path in files if times[path.stem] > 1]


def _fault(files: Iterable[Path], kind: str, root: Path) -> list[str]:
    names = [_short(path, root) for path in dict.fromkeys(files)]
    if not names:
        return []
    return [f"{len(names)} {kind}: {', '.join(first_few(names))}"]


def hold_out(pairs: tuple[Pair, ...], root: Path) -> tuple[tuple[Pair, ...], tuple[Pair, ...]]:
    """About a fifth of the pairs by a hash of the name: the same on every machine.

    Each pair is decided on its own, so that it stays where it is when others come or go; only where
    that would leave a part empty, the pair nearest to the threshold moves.
    """
    if len(pairs) < 2:
        raise InputError(
            f"{root} holds one image, which cannot be split into train and val; add images"
        )
    ranks = {pair.name: _rank(pair) for pair in pairs}
    held = {name for name, rank in ranks.items() if rank < VAL_SHARE}
    if not held:
        held = {min(ranks, key=ranks.__getitem__)}
    elif len(held) == len(ranks):
        held.remove(max(ranks, key=ranks.__getitem__))
    train = tuple(pair for pair in pairs if pair.name not in held)
    return train, tuple(pair for pair in pairs if pair.name in held)


def _rank(pair: Pair) -> float:
    """The hash of the name as a share of the largest one, 0 to 1."""
    text = f"{SPLIT_SEED} {pair.name}".encode("utf-8", "surrogateescape")
    return int.from_bytes(hashlib.sha256(text).digest(), "big") / 2**256


def _nothing_in(parent: Path) -> str:
    missing = [
        f"{kind} folder (looked for {', '.join(names)})"
        for kind, names in (("image", IMAGE_FOLDERS), ("mask", MASK_FOLDERS))
        if not _matching(parent, names)
    ]
    return f"{parent} has no {' and no '.join(missing)}; {_found(parent)}"


def _found(folder: Path) -> str:
    """What is there in place of what was looked for."""
    items = sorted(folder.iterdir())
    folders = [f"{item.name}/" for item in items if item.is_dir()]
    kinds = Counter(item.suffix.lower() or "no suffix" for item in items if not item.is_dir())
    found = folders[:SHOWN] + (["..."] if len(folders) > SHOWN else [])
    found += [f"{count} files with {kind}" for kind, count in kinds.most_common(SHOWN)]
    return f"found {', '.join(found)}" if found else "it is empty"


def _unread(images: Path) -> list[str]:
    folders = [p.name for p in sorted(images.iterdir()) if p.is_dir() and p.name[0] != "."]
    return [f"not read: sub-folders {', '.join(folders[:SHOWN])} of {images}"] if folders else []


def _short(path: Path, root: Path) -> str:
    return path.relative_to(root).as_posix()
