"""Which image belongs to which mask, and which split each pair is in."""

import hashlib
import re
from collections import Counter
from collections.abc import Collection, Iterable, Mapping, Sequence
from itertools import combinations
from pathlib import Path

from dualseg.core.errors import InputError, first_few
from dualseg.data.dataset import Pair, Pairs
from dualseg.data.datasets.dataset_yaml import LEAVE_OUT
from dualseg.data.datasets.folder_beside import find_side_by_side, holds_masks_beside
from dualseg.data.datasets.folder_listing import holds_pictures, pictures, sub_folders, unread
from dualseg.data.datasets.folder_lists import (
    read_listed_pairs,
    unread_tables,
)
from dualseg.data.datasets.folder_names import MASK_SUFFIXES, match_names, same_name
from dualseg.data.datasets.folder_text_lists import (
    Listed,
    bare_notes,
    read_name_lists,
    unread_lists,
    without_bare_tests,
)

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
YEAR = re.compile(r"[-_]?(19|20)[0-9]{2}$")
VAL_SHARE = 0.2
SPLIT_SEED = "dualseg split 0"
SHOWN = 5

Folders = dict[str, tuple[Path, Path]]


def split_of(name: str) -> str | None:
    """The split that the name of a folder or subset says, perhaps with a year: train2017."""
    bare = YEAR.sub("", name.lower())
    return next((split for split, names in SPLIT_FOLDERS.items() if bare in names), None)


def find_pairs(root: Path, *, allow_missing: bool = False) -> tuple[Pairs, list[str]]:
    """The pairs of every split.

    Args:
        root: See `describe_folder`.
        allow_missing: Whether images without a mask and masks without an image are left out, with
            a note, in place of being a fault.

    Returns:
        Pairs by split, train and val among them unless only other splits exist, and notes. Where
        there is no val, about a fifth of train becomes it, chosen by a hash of the name.

    Raises:
        InputError: A folder is missing or empty, a file has no partner or two, two places are of
            one split, or there are too few pairs to split; all faulty files are counted.
    """
    listed = read_listed_pairs(root, allow_missing=allow_missing)
    if listed is None and (folders := _folders_of_both(root)):
        listed = find_side_by_side(root, folders, allow_missing=allow_missing)
    pairs, notes = _pairs_of_folders(root, allow_missing) if listed is None else listed
    notes = [*notes, *unread_tables(root)]
    if "train" in pairs and "val" not in pairs:
        total = len(pairs["train"])
        pairs["train"], pairs["val"] = hold_out(pairs["train"], root)
        notes.append(
            f"split: no folder or list for val, so {len(pairs['val'])} of {total} images are held "
            "out, chosen by a hash of the name"
        )
    sizes = ", ".join(f"{len(files)} {split}" for split, files in pairs.items())
    return pairs, [*notes, f"images: {sizes}"]


def _folders_of_both(root: Path) -> dict[str, Path]:
    """Where images and masks may lie in one folder, by split; empty where masks have their own."""
    outer, images = _split_folders(root), _matching(root, IMAGE_FOLDERS)
    if len(images) > 1 or any(_matching(at, MASK_FOLDERS) for at in (root, *outer.values())):
        return {}
    around = {split: _image_folder(at) or at for split, at in outer.items()}
    if not images:
        return around or {"train": root}
    own = _split_folders(images[0]) or {"train": images[0]}
    around = {split: at for split, at in around.items() if holds_masks_beside(at)}
    require_other_splits(own, around)
    return {**own, **around}


def require_other_splits(own: Mapping[str, Path], around: Mapping[str, Path]) -> None:
    """Refuses two places of images of one split.

    Args:
        own, around: Folders of images by split: those in the data set's image folder, and those in
            split folders beside it.
    """
    both = next((split for split in own if split in around), None)
    if both is not None:
        raise InputError(
            f"{own[both]} and {around[both]} are the same split, {both}; keep one of them there"
        )


def _pairs_of_folders(root: Path, allow_missing: bool) -> tuple[Pairs, list[str]]:
    """Pairs of parallel folders, before anything is held out."""
    folders, notes = _split_pairs_of_folders(root)
    faults: list[str] = []
    missing: list[str] = []
    named = lists = read_name_lists(root) if set(folders) == {"train"} else None
    if lists is None:
        pairs = {split: _pair(*both, root, faults, missing) for split, both in folders.items()}
    else:
        stems = ([path.stem for path in pictures(folder)] for folder in folders["train"])
        lists, bare = without_bare_tests(lists, *stems)
        pairs = _listed(lists, *folders["train"], root, faults, missing)
        notes = [
            *notes,
            *bare_notes(bare),
            f"split: as {' and '.join(f.name for f in lists)} list the names",
        ]
    notes = [*notes, *unread_lists(root, read=named or ())]
    if faults or (missing and not allow_missing):
        advice = f"; {LEAVE_OUT}" if missing and not allow_missing else ""
        raise InputError(
            f"images and masks in {root} do not fit together; a mask is named as its image, "
            f"perhaps with {', '.join(MASK_SUFFIXES)} at the end{advice}:",
            faults if allow_missing else [*missing, *faults],
        )
    return pairs, [*notes, *missing]


def _split_pairs_of_folders(root: Path) -> tuple[Folders, list[str]]:
    """(image folder, mask folder) of each split; a flat folder is all train."""
    outer = _split_folders(root)
    if outer and not _matching(root, IMAGE_FOLDERS):
        return _outer_pairs(outer)
    own, notes = _inner_pairs(root)
    meant = {split: at for split, at in outer.items() if _image_folder(at) or _mask_folder(at)}
    around, told = _outer_pairs(meant)
    require_other_splits(*({s: both[0] for s, both in of.items()} for of in (own, around)))
    others = [at for split, at in outer.items() if split not in meant and holds_pictures(at)]
    return {**own, **around}, [*notes, *told, *(f"not read: pictures in {at}" for at in others)]


def _inner_pairs(root: Path) -> tuple[Folders, list[str]]:
    """Those of images/ and masks/, or of split folders in both."""
    images, masks = _image_folder(root), _mask_folder(root)
    if images is None or masks is None:
        raise InputError(_nothing_in(root))
    image_splits, mask_splits = _split_folders(images), _split_folders(masks)
    if not image_splits:
        return {"train": (images, masks)}, [*unread(images), *unread(masks)]
    alone = [s for s, at in mask_splits.items() if s not in image_splits and holds_pictures(at)]
    splits = [*image_splits, *(split for split in alone if split != "test")]
    inner = {split: (image_splits.get(split), mask_splits.get(split)) for split in splits}
    missing = {
        split: f"{at} has no counterpart in {other}; {_found(other)}"
        for there, other in ((mask_splits, images), (image_splits, masks))
        for split, at in there.items()
    }
    folders, notes = _complete(inner, missing)
    read = [both[1] for both in folders.values()]
    return folders, [*unread(images, image_splits.values()), *unread(masks, read), *notes]


def _outer_pairs(outer: Mapping[str, Path]) -> tuple[Folders, list[str]]:
    """Those in split folders with images/ and masks/ in each."""
    inner = {split: (_image_folder(at), _mask_folder(at)) for split, at in outer.items()}
    return _complete(inner, {split: _nothing_in(at) for split, at in outer.items()})


def _complete(
    inner: Mapping[str, tuple[Path | None, Path | None]], missing: Mapping[str, str]
) -> tuple[Folders, list[str]]:
    """The splits that have both folders; a test split without masks is left out with a note."""
    folders: Folders = {}
    notes = []
    for split, (images, masks) in inner.items():
        is_bare = masks is None or (split == "test" and not pictures(masks))
        if images is not None and masks is not None and not is_bare:
            folders[split] = (images, masks)
            notes += [*unread(images), *unread(masks)]
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
    there = sub_folders(parent)
    found = {
        split: _one_of(parent, [folder for folder in there if split_of(folder.name) == split])
        for split in SPLIT_FOLDERS
    }
    return {split: folder for split, folder in found.items() if folder is not None}


def _folder(parent: Path, names: Sequence[str]) -> Path | None:
    """The sub-folder with one of the names."""
    return _one_of(parent, _matching(parent, names))


def _one_of(parent: Path, found: Sequence[Path]) -> Path | None:
    """The folder that is meant; of several the only one that holds pictures."""
    if len(found) > 1:
        found = [folder for folder in found if holds_pictures(folder)] or found[:1]
    if len(found) > 1:
        both = " and ".join(folder.name for folder in found)
        raise InputError(f"{parent} holds {both}, which mean the same; keep one of them there")
    return found[0] if found else None


def _matching(parent: Path, names: Sequence[str]) -> list[Path]:
    return [path for path in sub_folders(parent) if path.name.lower() in _lower(names)]


def _lower(names: Sequence[str]) -> set[str]:
    return {name.lower() for name in names}


def _pair(
    images: Path, masks: Path, root: Path, faults: list[str], missing: list[str]
) -> tuple[Pair, ...]:
    """Pairs of two folders; what has no partner is added to the missing ones."""
    image_files, mask_files = pictures(images), pictures(masks)
    empty = [f for f, files in ((images, image_files), (masks, mask_files)) if not files]
    if empty:
        faults += [f"{_short(folder, root)} holds no picture; {_found(folder)}" for folder in empty]
        return ()
    by_image, by_mask = _by_stem(image_files), _by_stem(mask_files)
    mask_of, alone, doubled = match_names(list(by_image), list(by_mask))
    without = [by_image[stem] for stem in by_image if stem not in mask_of]
    twice = [*same_name(image_files), *same_name(mask_files), *(by_mask[m] for m in doubled)]
    missing += _fault(without, f"images have no mask in {_short(masks, root)}", root)
    missing += _fault(
        (by_mask[m] for m in alone), f"masks have no image in {_short(images, root)}", root
    )
    faults += _fault(twice, "files share their name with another one", root)
    return tuple(Pair(stem, by_image[stem], by_mask[mask_of[stem]]) for stem in sorted(mask_of))


def _listed(
    lists: Listed,
    images: Path,
    masks: Path,
    root: Path,
    faults: list[str],
    missing: list[str],
) -> dict[str, tuple[Pair, ...]]:
    """Pairs of the names that lists hold, by split; other files are of no concern."""
    image_files, mask_files = pictures(images), pictures(masks)
    by_image, by_mask = _by_stem(image_files), _by_stem(mask_files)
    mask_of, _, doubled = match_names(list(by_image), list(by_mask))
    splits: dict[str, dict[str, Pair]] = {}
    for file, (split, names) in lists.items():
        strange = [name for name in names if name not in by_image]
        without = [name for name in names if name in by_image and name not in mask_of]
        missing += _lines(strange, f"names in {file.name} have no image in {_short(images, root)}")
        missing += _lines(without, f"images in {file.name} have no mask in {_short(masks, root)}")
        found = {n: Pair(n, by_image[n], by_mask[mask_of[n]]) for n in names if n in mask_of}
        splits.setdefault(split, {}).update(found)
    listed = {name for _, names in lists.values() for name in names}
    used = {mask_of[name] for name in listed if name in mask_of}
    twice = [*_among(listed, same_name(image_files)), *_among(used, same_name(mask_files))]
    for taken, other in zip(doubled[::2], doubled[1::2], strict=True):
        twice += [by_mask[taken], by_mask[other]] if taken in used else []
    faults += _fault(twice, "files share their name with another one", root)
    for first, second in combinations(splits, 2):
        both = [name for name in splits[first] if name in splits[second]]
        faults += _lines(both, f"names stand in the lists of {first} and of {second}")
    return {split: tuple(found.values()) for split, found in splits.items()}


def _among(names: Collection[str], files: Sequence[Path]) -> list[Path]:
    """Files of the names, upper and lower case taken for the same."""
    folded = {name.casefold() for name in names}
    return [path for path in files if path.stem.casefold() in folded]


def _by_stem(files: Sequence[Path]) -> dict[str, Path]:
    return {path.stem: path for path in files}


def _fault(files: Iterable[Path], kind: str, root: Path) -> list[str]:
    return _lines([_short(path, root) for path in dict.fromkeys(files)], kind)


def _lines(names: Sequence[str], kind: str) -> list[str]:
    return [f"{len(names)} {kind}: {', '.join(first_few(names))}"] if names else []


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
    return (
        f"{parent} has no {' and no '.join(missing)}; {_found(parent)}; labels may also be "
        "LabelMe, COCO, CVAT or YOLO files, see docs/data.md"
    )


def _found(folder: Path) -> str:
    """What is there in place of what was looked for."""
    items = sorted(folder.iterdir())
    folders = [f"{item.name}/" for item in items if item.is_dir()]
    kinds = Counter(item.suffix.lower() or "no suffix" for item in items if not item.is_dir())
    found = folders[:SHOWN] + (["..."] if len(folders) > SHOWN else [])
    found += [f"{count} files with {kind}" for kind, count in kinds.most_common(SHOWN)]
    return f"found {', '.join(found)}" if found else "it is empty"


def _short(path: Path, root: Path) -> str:
    return path.relative_to(root).as_posix()
