"""Which mask belongs to which image, by their names."""

import re
import unicodedata
from collections import Counter
from collections.abc import Collection, Iterable, Sequence
from pathlib import Path

MASK_SUFFIXES = ("_mask", "_label", "_labels", "_gt", "_seg", "_labelIds", "_labelTrainIds")
IMAGE_WORDS = ("images", "image", "imgs", "img", "im", "rgb", "photo", "leftimg8bit")
MASK_WORDS = (
    *("masks", "mask", "labels", "label", "labelids", "labeltrainids", "gt", "gtfine"),
    *("segmentation", "seg", "annotations", "annotation", "anno", "groundtruth"),
)


def match_names(
    images: Sequence[str], masks: Sequence[str]
) -> tuple[dict[str, str], list[str], list[str]]:
    """Pairs names without their file suffix.

    A mask belongs to the image of the same name; else of its name without one of `MASK_SUFFIXES`;
    else of the same name but for words such as "image" and "mask" at either end (image_1, mask_1),
    where that is the case for one image and one mask alone.

    Args:
        images, masks: Names; each once.

    Returns:
        Image -> mask, masks without an image, and masks of an image that has one already, each
        after that one.
    """
    by_image: dict[str, str] = {}
    known = set(images)
    rest: list[str] = []
    doubled: list[str] = []
    for mask in masks:
        image = _plainly(mask, known)
        if image is None:
            rest.append(mask)
        elif image in by_image:
            doubled += [by_image[image], mask]
        else:
            by_image[image] = mask
    free = [image for image in images if image not in by_image]
    image_of, mask_of = _unique(free), _unique(rest)
    found = {image_of[key]: mask_of[key] for key in mask_of.keys() & image_of.keys()}
    taken = set(found.values())
    return {**by_image, **found}, [mask for mask in rest if mask not in taken], doubled


def looks_like_mask(name: str) -> bool:
    """Whether a name without its file suffix starts or ends with a word for masks."""
    return _bare(name, MASK_WORDS) != _bare(name, ())


def alike(names: Iterable[str]) -> list[str]:
    """Names that others equal, upper and lower case taken for the same."""
    listed = list(names)
    times = Counter(name.casefold() for name in listed)
    return [name for name in listed if times[name.casefold()] > 1]


def same_name(files: Sequence[Path]) -> list[Path]:
    """Files whose names are equal but for suffix, upper and lower case."""
    stems = [path.stem for path in files]
    doubled = set(alike(stems))
    return [path for path, stem in zip(files, stems, strict=True) if stem in doubled]


def spelled_as(names: Sequence[str], known: Collection[str]) -> list[str]:
    """The names as files are called: of an accent, a list may make one sign and macOS two.

    Args:
        names: As a list gives them.
        known: Those of files.
    """
    strange = [name for name in names if name not in known and not name.isascii()]
    if not strange:
        return list(names)
    alike_of: dict[str, list[str]] = {}
    for name in known:
        alike_of.setdefault(unicodedata.normalize("NFC", name), []).append(name)
    meant = {name: alike_of.get(unicodedata.normalize("NFC", name), []) for name in strange}
    return [meant[name][0] if len(meant.get(name, ())) == 1 else name for name in names]


def _plainly(mask: str, images: set[str]) -> str | None:
    """The image of the same name, else of the name without a suffix."""
    bare = [mask.removesuffix(s) for s in MASK_SUFFIXES if mask.endswith(s)]
    return next((name for name in (mask, *bare) if name in images), None)


def _unique(names: Sequence[str]) -> dict[str, str]:
    """Bare name -> name, where it is the only one."""
    bare = [_bare(name, (*IMAGE_WORDS, *MASK_WORDS)) for name in names]
    times = Counter(bare)
    return {key: name for key, name in zip(bare, names, strict=True) if times[key] == 1}


def _bare(name: str, words: Sequence[str]) -> str:
    """Without the words at its ends, in one spelling of accents."""
    name = unicodedata.normalize("NFC", name)
    if not words:
        return name
    either = "|".join(words)
    name = re.sub(rf"^(?:(?:{either})[-_. ]+)+(?=.)", "", name, flags=re.IGNORECASE)
    return re.sub(rf"(?<=.)(?:[-_. ]+(?:{either}))+$", "", name, flags=re.IGNORECASE)
