"""Masks that hold colours in place of class ids: which colours there are, and what they mean."""

from collections.abc import Mapping, Sequence
from pathlib import Path

from dualseg.core.errors import InputError
from dualseg.core.labels import IGNORE_INDEX, Color, LabelSpec
from dualseg.data.checking.mask_facts import MOST_COLORS, MaskFacts
from dualseg.data.datasets.camvid import CAMVID_LABELS
from dualseg.data.datasets.cityscapes import TRAIN_IDS as CITYSCAPES_LABELS
from dualseg.data.datasets.dataset_yaml import DECLARATION_FILE, Declaration
from dualseg.data.datasets.folder_smeared import lossy_format
from dualseg.data.datasets.voc import VOC_LABELS
from dualseg.data.labels.color_labels import unpack_color
from dualseg.data.labels.smeared_labels import MOST_UNDECIDED, ColorReader, undecided_share

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


def meaning_of_colors(
    masks: Sequence[Path], facts: Sequence[MaskFacts], declaration: Declaration
) -> tuple[LabelSpec, tuple[str, ...], ColorReader]:
    """Classes of coloured masks, notes that say what was inferred, and their reader.

    Args:
        masks: Label files of all splits, all of them colour pictures.
        facts: What each of them holds.
        declaration: What the user's `dataset.yaml` says; it wins.

    Raises:
        InputError: There are too many colours (JPEG, smoothed edges), or one alone, or colours that
            the declaration does not name; or that says what numbers mean.
    """
    if declaration.changes_values:
        raise InputError(
            f"{DECLARATION_FILE} says what label values mean (values, ignore_index), but the masks "
            "hold colours; say what these mean, 255 being ignored: colors: [{color: [0, 0, 0], "
            "class: 255}, {color: [200, 0, 0], class: cat}, ...]"
        )
    pixels = _count(facts)
    if declaration.snap:
        return _snapped(pixels, declaration)
    _refuse_smeared(masks, facts, pixels, declaration)
    meaning, labels, origin = _meaning(pixels, declaration)
    strange = sorted(set(pixels) - set(meaning), key=lambda color: -pixels[color])
    if strange:
        shown = ", ".join(f"{list(c)} ({pixels[c]} pixels)" for c in strange[:5])
        raise InputError(
            f"the masks hold {len(strange)} colours that {DECLARATION_FILE} does not name: "
            f"{shown}; add them under colors, with a class or 255 (ignored)"
        )
    classes = f"classes: {labels.num_classes} ({', '.join(labels.class_names[:12])})"
    notes = (classes, f"colours: {origin}", *_table(pixels, meaning, labels))
    ids, limit = tuple(meaning.values()), declaration.images.max_pixels
    return labels, notes, ColorReader(tuple(meaning), ids, max_pixels=limit)


def _count(facts: Sequence[MaskFacts]) -> dict[Color, int]:
    """Pixels of each colour, over all masks; of smeared ones those of their frequent colours."""
    pixels: dict[Color, int] = {}
    for found in facts:
        for value, count in found.counts.items():
            gray = found.kind == "gray"
            color = (value, value, value) if gray else unpack_color(value)
            pixels[color] = pixels.get(color, 0) + count
    return pixels


def _refuse_smeared(
    masks: Sequence[Path],
    facts: Sequence[MaskFacts],
    pixels: Mapping[Color, int],
    declaration: Declaration,
) -> None:
    """JPEG masks whose colours are not exactly those that were declared, and photographs."""
    exact = set(_meaning(pixels, declaration)[0]) if _has_table(declaration) else set()
    smeared = [
        path
        for path, found in zip(masks, facts, strict=True)
        if found.lossy and not (exact and set(_count([found])) <= exact)
    ]
    if smeared:
        raise InputError(
            f"{len(smeared)} coloured masks are {lossy_format(smeared[0])} ({smeared[0]} for "
            "example), which smears "
            f"colours at every edge, so that they hold {len(pixels)} colours or more; "
            f"save the masks as PNG with exact colours{_snap_hint(pixels, declaration)}"
        )
    many = [path for path, f in zip(masks, facts, strict=True) if f.num_values > len(f.counts)]
    if many or len(pixels) > MOST_COLORS:
        shown = f"{many[0]}: " if many else ""
        raise InputError(
            f"{shown}more than {MOST_COLORS} colours in the masks, as smoothed edges or "
            f"photographs have them; {FIX}{_snap_hint(pixels, declaration)}"
        )


def _snap_hint(pixels: Mapping[Color, int], declaration: Declaration) -> str:
    """The other way out, with the share of pixels it would serve."""
    if _has_table(declaration):
        table = tuple(_meaning(pixels, declaration)[0])
        return f", or write snap: true into {DECLARATION_FILE} ({_near(pixels, table)})"
    title, (labels, ignored) = min(
        KNOWN.items(), key=lambda item: _undecided(pixels, (*item[1][0].palette, item[1][1]))
    )
    table = (*labels.palette, ignored)
    if _undecided(pixels, table) <= MOST_UNDECIDED:
        return (
            f", or write snap: true into {DECLARATION_FILE} if the colours are {title}'s "
            f"({_near(pixels, table)})"
        )
    return f", or list under colors, in {DECLARATION_FILE}, which are meant, and write snap: true"


def _snapped(
    pixels: Mapping[Color, int], declaration: Declaration
) -> tuple[LabelSpec, tuple[str, ...], ColorReader]:
    """Every pixel is taken for the nearest declared colour, or that of a palette that fits."""
    if _has_table(declaration):
        meaning, labels, origin = _meaning(pixels, declaration)
    else:
        fitting = {
            title: both
            for title, both in KNOWN.items()
            if _undecided(pixels, (*both[0].palette, both[1])) <= MOST_UNDECIDED
        }
        if len(fitting) != 1:
            raise InputError(
                f"{DECLARATION_FILE} says snap but not which colours are meant, and they are not "
                f"those of one known palette ({', '.join(KNOWN)}); list them under colors"
            )
        ((title, (known, ignored)),) = fitting.items()
        meaning, labels, origin = _known(known, ignored), _plain(known), f"{title}'s palette"
    table = tuple(meaning)
    if len(table) < 2 or _undecided(pixels, table) > MOST_UNDECIDED:
        raise InputError(
            f"snap: {_near(pixels, table)}, too few to take each for one of the {len(table)} "
            f"colours; list every colour that is meant under colors in {DECLARATION_FILE}"
        )
    classes = f"classes: {labels.num_classes} ({', '.join(labels.class_names[:12])})"
    notes = (classes, f"colours: {origin}; {_near(pixels, table)}, the rest is ignored")
    ids, limit = tuple(meaning.values()), declaration.images.max_pixels
    return labels, notes, ColorReader(table, ids, snap=True, max_pixels=limit)


def _has_table(declaration: Declaration) -> bool:
    return declaration.colors is not None or declaration.palette is not None


def _undecided(pixels: Mapping[Color, int], table: Sequence[Color]) -> float:
    packed = {red << 16 | green << 8 | blue: n for (red, green, blue), n in pixels.items()}
    return undecided_share(packed, table)


def _near(pixels: Mapping[Color, int], table: Sequence[Color]) -> str:
    share = 100 * (1 - _undecided(pixels, table))
    return f"{share:.1f} % of the pixels are near one of the {len(table)} colours"


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
