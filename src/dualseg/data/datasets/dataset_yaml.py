"""`dataset.yaml` in a user's folder: what the label values mean, where inference is not enough.

    class_names: [background, cat, dog]
    palette: [[0, 0, 0], [200, 0, 0], [0, 0, 200]]   # one colour a class
    values: {0: 0, 10: 1, 20: 2, 99: 255}            # value in the file -> class id; 255: ignored
    ignore_index: 99                                 # value in the file that is ignored
    colors:                                          # masks that hold colours in place of ids
      - {color: [200, 0, 0], class: cat}             # a name, a class id, or 255: ignored
    snap: true                                       # smeared values mean the nearest declared one
    allow_missing: true                              # leave out images and masks without a partner
    channels: 4                                      # bands of the images, or a list of those to
                                                     # use, counted from 1: [4, 3, 2]
    min_value: 0                                     # black in images of more than 8 bits
    max_value: 65535                                 # white in images of more than 8 bits
    max_pixels: 400000000                            # allows images larger than 178,956,970 pixels

Every key may be left out. `dataset.yaml` of a run has further keys, which are passed over.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from dualseg.config import read_yaml
from dualseg.core.errors import InputError, nearest
from dualseg.core.image_spec import FIELDS, ImageSpec, image_faults
from dualseg.core.labels import IGNORE_INDEX, MAX_CLASSES, Color
from dualseg.data.labels.class_names import lookalikes

DECLARATION_FILE = "dataset.yaml"
OTHER_SPELLINGS = (DECLARATION_FILE, "dataset.yml")  # whatever the case of their letters
SWITCHES = ("snap", "allow_missing")  # true or false
KEYS = ("class_names", "palette", "ignore_index", "values", "colors", *SWITCHES, *FIELDS)
RUN_KEYS = ("name", "root", "train", "val", "notes")  # what a run records besides
MAX_VALUE = 65535
LEAVE_OUT = f"allow_missing: true in {DECLARATION_FILE} leaves out what has no partner"


@dataclass(frozen=True)
class Declaration:
    """What the user says; None where nothing is said.

    Args:
        class_names: One name a class.
        palette: One colour a class.
        ignore_index: Raw value that is ignored.
        values: Raw value -> class id, or 255 for ignored.
        colors: Colour -> name of a class or its id, or 255 for ignored.
        snap: Take smeared values, as of JPEG masks, for the nearest declared one.
        allow_missing: Leave out images and masks that have no partner, with a note.
        images: How the images are read; ordinary pictures where nothing is said.
        assumes_255: Whether `values` ignores 255 only because nothing is said of it.
    """

    class_names: tuple[str, ...] | None = None
    palette: tuple[Color, ...] | None = None
    ignore_index: int | None = None
    values: Mapping[int, int] | None = None
    colors: Mapping[Color, str | int] | None = None
    snap: bool = False
    allow_missing: bool = False
    images: ImageSpec = field(default_factory=ImageSpec)
    assumes_255: bool = False

    @property
    def gives_meaning(self) -> bool:
        """Whether it says which classes there are, or what label values or colours mean."""
        given = (self.class_names, self.ignore_index, self.values, self.colors)
        return self.snap or any(one is not None for one in given)

    @property
    def changes_values(self) -> bool:
        """Whether label values mean other classes than those of their own number, or another than
        255 is ignored; what a run records of colours and shapes changes nothing."""
        same = all(to == raw for raw, to in (self.values or {}).items())
        return not same or self.ignore_index not in (None, IGNORE_INDEX)


def read_declaration(root: Path) -> Declaration:
    """The folder's `dataset.yaml`, or a declaration that says nothing where there is none.

    Raises:
        InputError: The file has faults, all are listed; it is spelled otherwise, or is no file.
    """
    path = root / DECLARATION_FILE
    if not path.is_file():
        _refuse_other_spellings(root)
        return Declaration()
    given = read_yaml(path)
    known = (*KEYS, *RUN_KEYS) if set(RUN_KEYS) <= set(given) else KEYS
    faults = [f"{key}: unknown key; {nearest(str(key), KEYS)}" for key in given if key not in known]
    names = _class_names(given.get("class_names"), faults)
    palette = _palette(given.get("palette"), faults)
    ignore = _ignore_index(given.get("ignore_index"), faults)
    values = _values(given.get("values"), ignore, faults)
    colors = _colors(given.get("colors"), faults)
    snap, allow_missing = (_switch(key, given.get(key), faults) for key in SWITCHES)
    faults += image_faults(given)
    if not faults:
        faults += _disagreements(names, palette, ignore, values)
    if faults:
        count = f"{len(faults)} fault{'s' * (len(faults) > 1)}"
        raise InputError(f"{path} has {count}:", faults)
    images = ImageSpec.from_dict(given)
    assumes_255 = values is not None and ignore is None and IGNORE_INDEX not in given["values"]
    return Declaration(
        names, palette, ignore, values, colors, snap, allow_missing, images, assumes_255
    )


def _refuse_other_spellings(root: Path) -> None:
    """What a user meant as the declaration must not go unread: its classes would be lost."""
    names = sorted(path.name for path in root.iterdir()) if root.is_dir() else []
    for name in names:
        if name == DECLARATION_FILE:
            raise InputError(f"{root / name} is no file; make it one, or remove it")
        if name.casefold() in OTHER_SPELLINGS:
            raise InputError(
                f"{root / name} would not be read: what a folder declares stands in "
                f"{DECLARATION_FILE}; rename it so, or name it otherwise if it is something else"
            )


def _switch(key: str, given: Any, faults: list[str]) -> bool:
    if given is not None and not isinstance(given, bool):
        faults.append(f"{key}: expected true or false, got {given!r}")
    return given is True


def _class_names(given: Any, faults: list[str]) -> tuple[str, ...] | None:
    if given is None:
        return None
    if not isinstance(given, list) or not all(isinstance(n, str) and n.strip() for n in given):
        faults.append(
            f"class_names: expected a list of texts, got {given!r} (quote names such as 'no', '1')"
        )
        return None
    doubled = sorted({name for name in given if given.count(name) > 1})
    if doubled:
        faults.append(f"class_names: {', '.join(doubled)} stands twice; name each class once")
    faults += [
        f"class_names: {alike} look alike; name each class once, without blanks around it"
        for alike in lookalikes(given)
    ]
    if not 2 <= len(given) <= MAX_CLASSES:
        faults.append(f"class_names: {len(given)} classes; allowed are 2 to {MAX_CLASSES}")
    return tuple(given)


def _palette(given: Any, faults: list[str]) -> tuple[Color, ...] | None:
    if given is None:
        return None
    colors = given if isinstance(given, list) else [given]
    wrong = [color for color in colors if not _is_color(color)]
    if wrong:
        faults.append(
            f"palette: expected colours [red, green, blue] of 0 to 255 each, got {wrong[0]!r}"
        )
        return None
    return tuple((red, green, blue) for red, green, blue in colors)


def _is_color(given: Any) -> bool:
    return isinstance(given, list) and len(given) == 3 and all(_is_int(c, 255) for c in given)


def _is_int(given: Any, most: int) -> bool:
    return isinstance(given, int) and not isinstance(given, bool) and 0 <= given <= most


def _ignore_index(given: Any, faults: list[str]) -> int | None:
    if given is None or _is_int(given, MAX_VALUE):
        return given
    faults.append(
        f"ignore_index: expected one label value of 0 to {MAX_VALUE}, got {given!r}; several "
        "ignored values go under values, each with 255"
    )
    return None


def _values(given: Any, ignore: int | None, faults: list[str]) -> dict[int, int] | None:
    if given is None:
        return None
    if not isinstance(given, dict) or not given:
        faults.append(f"values: expected a mapping of label value to class id, got {given!r}")
        return None
    wrong = {
        raw: to for raw, to in given.items() if not (_is_int(raw, MAX_VALUE) and _is_int(to, 255))
    }
    if wrong:
        faults.append(
            f"values: label values are 0 to {MAX_VALUE}, class ids 0 to 254 and 255 for ignored; "
            f"got {wrong}"
        )
        return None
    return {IGNORE_INDEX: IGNORE_INDEX, **given} if ignore is None else {ignore: 255, **given}


def _colors(given: Any, faults: list[str]) -> dict[Color, str | int] | None:
    if given is None:
        return None
    entries = given if isinstance(given, list) else [given]
    wrong = [entry for entry in entries if not _is_color_entry(entry)]
    if wrong or not entries:
        faults.append(
            "colors: expected a list of {color: [red, green, blue], class: name or id}, got "
            f"{wrong[0] if wrong else given!r}"
        )
        return None
    red_green_blue = [tuple(entry["color"]) for entry in entries]
    doubled = sorted({color for color in red_green_blue if red_green_blue.count(color) > 1})
    if doubled:
        faults.append(f"colors: {list(doubled[0])} stands twice; give each colour one class")
    return dict(zip(red_green_blue, (entry["class"] for entry in entries), strict=True))


def _is_color_entry(given: Any) -> bool:
    if not isinstance(given, dict) or set(given) != {"color", "class"}:
        return False
    named = isinstance(given["class"], str) or _is_int(given["class"], 255)
    return named and _is_color(given["color"])


def _disagreements(
    names: tuple[str, ...] | None,
    palette: tuple[Color, ...] | None,
    ignore: int | None,
    values: Mapping[int, int] | None,
) -> list[str]:
    """Keys that contradict each other."""
    faults = []
    if names and palette and len(names) != len(palette):
        faults.append(
            f"palette: {len(palette)} colours for {len(names)} classes; give one for each class"
        )
    ids = {to for to in (values or {}).values() if to != IGNORE_INDEX}
    if values is not None and len(ids) < 2:
        faults.append(f"values: {len(ids)} classes stand in it; map values to two or more")
    beyond = sorted(class_id for class_id in ids if names and class_id >= len(names))
    if beyond:
        faults.append(
            f"values: class ids {', '.join(map(str, beyond))} have no name; class_names has "
            f"{len(names or ())}, so ids are 0 to {len(names or ()) - 1} and 255 (ignored)"
        )
    if values and ignore is not None and values[ignore] != 255 and ignore != IGNORE_INDEX:
        faults.append(
            f"ignore_index: {ignore} is ignored, but values makes it class {values[ignore]}; "
            "keep one of the two"
        )
    return faults
