"""Masks that hold colours in place of class ids: which colours there are, and what they mean."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from dualseg.core.errors import InputError
from dualseg.core.labels import IGNORE_INDEX, Color, LabelSpec
from dualseg.data.color_labels import read_color_values
from dualseg.data.dataset import Pair
from dualseg.data.datasets.camvid import CAMVID_LABELS
from dualseg.data.datasets.cityscapes import TRAIN_IDS as CITYSCAPES_LABELS
from dualseg.data.datasets.dataset_yaml import DECLARATION_FILE, Declaration
from dualseg.data.datasets.voc import VOC_LABELS
from dualseg.data.faults import PictureError
from dualseg.data.images import read_image, read_label_values

BLACK: Color = (0, 0, 0)
MAX_COLORS = 40
KNOWN: Mapping[str, tuple[LabelSpec, Color]] = {  # with the colour that is ignored
    "PASCAL VOC": (VOC_LABELS, (224, 224, 192)),
    "Cityscapes": (CITYSCAPES_LABELS, BLACK),
    "CamVid (11 classes)": (CAMVID_LABELS, BLACK),
}
ENOUGH_COLORS = 3  # so many besides black tell one palette from another
FIX = (
    "save the masks as PNG with exact colours (resized by nearest), or list the colours in "
    f"{DECLARATION_FILE}: colors: [{{color: [0, 0, 0], class: background}}, ...]"
)


@dataclass(frozen=True)
class ColorReader:
    """Reads a mask's colours as class ids; workers get it by pickle.

    Args:
        colors: All colours that may occur.
        ids: The class of each, or 255.
    """

    colors: tuple[Color, ...]
    ids: tuple[int, ...]

    def __call__(self, pair: Pair) -> NDArray[np.uint8]:
        """(H, W) class ids of a pair's mask."""
        require_even_alpha(pair.label)
        numbers = read_color_values(pair.label, self.colors)
        return np.asarray(self.ids, np.uint8)[numbers]


def are_colored(masks: Sequence[Path]) -> bool:
    """Whether all masks are colour pictures; where some are, those are faults."""
    return bool(masks) and all(_is_colored(path) for path in masks)


def describe_colors(
    masks: Sequence[Path], declaration: Declaration
) -> tuple[LabelSpec, tuple[str, ...], ColorReader]:
    """Classes of coloured masks, notes that say what was inferred, and their reader.

    Args:
        masks: Label files of all splits, all of them colour pictures.
        declaration: What the user's `dataset.yaml` says; it wins.

    Raises:
        InputError: Alpha differs within a mask, there are too many colours (JPEG, smoothed edges),
            or one alone, or colours that the declaration does not name.
    """
    smeared = [path for path in masks if path.suffix.lower() in (".jpg", ".jpeg")]
    if smeared:
        raise InputError(
            f"{len(smeared)} coloured masks are JPEG ({smeared[0]} for example), which smears "
            "colours at every edge; save the masks as PNG with exact colours"
        )
    pixels = _count(masks)
    meaning, labels, origin = _meaning(pixels, declaration)
    strange = sorted(set(pixels) - set(meaning), key=lambda color: -pixels[color])
    if strange:
        shown = ", ".join(f"{list(c)} ({pixels[c]} pixels)" for c in strange[:5])
        raise InputError(
            f"the masks hold {len(strange)} colours that {DECLARATION_FILE} does not name: "
            f"{shown}; add them under colors, with a class or 255 (ignored)"
        )
    classes = f"classes: {labels.num_classes} ({', '.join(labels.class_names[:12])})"
    notes = [classes, f"colours: {origin}", *_table(pixels, meaning, labels)]
    if any(_has_alpha(path) for path in masks):
        notes.append("alpha: the same in every pixel of a mask, so it is left out")
    return labels, tuple(notes), ColorReader(tuple(meaning), tuple(meaning.values()))


def require_even_alpha(path: Path) -> None:
    """Refuses a mask whose alpha channel tells something."""
    with Image.open(path) as image:
        if "A" not in image.getbands():
            return
        low, high = image.getchannel("A").getextrema()
    if low != high:
        raise InputError(
            f"{path} has an alpha channel from {low} to {high}, so it is unclear what its "
            "transparent pixels mean; save it as RGB, or as PNG with one class id a pixel"
        )


def _is_colored(path: Path) -> bool:
    try:
        read_label_values(path)
    except PictureError as error:
        return error.fault.code == "E104" and "colour" in str(error)
    except InputError:
        return False
    return False


def _has_alpha(path: Path) -> bool:
    with Image.open(path) as image:
        return "A" in image.getbands()


def _count(masks: Sequence[Path]) -> dict[Color, int]:
    """Pixels of each colour, over all masks."""
    pixels: dict[Color, int] = {}
    for path in masks:
        values = read_image(path).astype(np.int64)
        require_even_alpha(path)
        packed = values[..., 0] << 16 | values[..., 1] << 8 | values[..., 2]
        for value, count in zip(*np.unique(packed, return_counts=True), strict=True):
            color = (int(value) >> 16, int(value) >> 8 & 255, int(value) & 255)
            pixels[color] = pixels.get(color, 0) + int(count)
        if len(pixels) > 256:
            raise InputError(
                f"{path}: more than 256 colours in the masks, as smoothed edges or photographs "
                f"have them; {FIX}"
            )
    return pixels


def _meaning(
    pixels: Mapping[Color, int], declaration: Declaration
) -> tuple[dict[Color, int], LabelSpec, str]:
    """Colour -> class id or 255, the classes, and where that comes from."""
    if declaration.colors is not None:
        return (*_declared(declaration, declaration.colors), f"as {DECLARATION_FILE} says")
    names, palette = declaration.class_names, declaration.palette
    for title, (labels, ignored) in KNOWN.items():
        if names == labels.class_names and palette == labels.palette:
            return _known(labels, ignored), _plain(labels), f"{title}'s, as {DECLARATION_FILE} says"
    if palette is not None:
        names = names or tuple(map(_name, palette))
        meaning = {color: number for number, color in enumerate(palette)}
        return meaning, LabelSpec(names, palette), f"the palette of {DECLARATION_FILE}"
    fitting = [title for title in KNOWN if _fits(pixels, *KNOWN[title])]
    if len(fitting) == 1 and names is None:
        labels, ignored = KNOWN[fitting[0]]
        origin = f"{fitting[0]}'s palette was recognised; {list(ignored)} is ignored"
        return _known(labels, ignored), _plain(labels), origin
    colors = tuple(sorted(pixels))  # black comes first
    if not 2 <= len(colors) <= MAX_COLORS:
        raise InputError(
            f"the masks hold {len(colors)} colours; allowed are 2 to {MAX_COLORS}; {FIX}"
        )
    if names is not None and len(names) != len(colors):
        raise InputError(
            f"{DECLARATION_FILE} names {len(names)} classes, the masks hold {len(colors)} colours; "
            f"{FIX}"
        )
    names = names or tuple(map(_name, colors))
    meaning = {color: number for number, color in enumerate(colors)}
    return meaning, LabelSpec(names, colors), "each one is a class, none is ignored"


def _declared(
    declaration: Declaration, given: Mapping[Color, str | int]
) -> tuple[dict[Color, int], LabelSpec]:
    names = declaration.class_names
    if names is None:
        texts = dict.fromkeys(to for to in given.values() if isinstance(to, str))
        highest = max((to for to in given.values() if isinstance(to, int) and to < 255), default=-1)
        names = tuple(texts) or tuple(f"class_{number}" for number in range(highest + 1))
    ids = {name: number for number, name in enumerate(names)}
    unnamed = sorted({str(to) for to in given.values() if isinstance(to, str) and to not in ids})
    beyond = [to for to in given.values() if isinstance(to, int) and len(names) <= to < 255]
    if unnamed or beyond:
        raise InputError(
            f"{DECLARATION_FILE}: colors names {', '.join(map(str, [*unnamed, *beyond]))}, which "
            f"is no class; class_names has {', '.join(names)}"
        )
    meaning = {color: to if isinstance(to, int) else ids[to] for color, to in given.items()}
    first = {to: color for color, to in reversed(meaning.items())}
    missing = [name for number, name in enumerate(names) if number not in first]
    if missing and declaration.palette is None:
        raise InputError(f"{DECLARATION_FILE}: no colour is {', '.join(missing)}; add it to colors")
    palette = declaration.palette or tuple(first[number] for number in range(len(names)))
    return meaning, LabelSpec(names, palette)


def _fits(pixels: Mapping[Color, int], labels: LabelSpec, ignored: Color) -> bool:
    known = {*labels.palette, ignored}
    return set(pixels) <= known and len(set(pixels) - {BLACK}) >= ENOUGH_COLORS


def _known(labels: LabelSpec, ignored: Color) -> dict[Color, int]:
    return {**{color: i for i, color in enumerate(labels.palette)}, ignored: IGNORE_INDEX}


def _plain(labels: LabelSpec) -> LabelSpec:
    """With values that are class ids, as the reader returns them."""
    return LabelSpec(labels.class_names, labels.palette)


def _name(color: Color) -> str:
    return "background" if color == BLACK else "rgb_{}_{}_{}".format(*color)


def _table(
    pixels: Mapping[Color, int], meaning: Mapping[Color, int], labels: LabelSpec
) -> list[str]:
    """One line a colour that occurs: colour, class, pixels."""
    names = {**dict(enumerate(labels.class_names)), IGNORE_INDEX: "ignored"}
    return [f"  {list(c)} {names[meaning[c]]}: {pixels[c]} pixels" for c in sorted(pixels)]
