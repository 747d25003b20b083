"""Which classes a data set has, how its label files encode them, and how they are drawn."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from dualseg.core.errors import InputError

Color = tuple[int, int, int]

IGNORE_INDEX = 255
MAX_CLASSES = 255  # ids 0..254 in one byte; 255 is ignored
MAX_BYTE = 255


@dataclass(frozen=True)
class LabelSpec:
    """Classes, palette and the meaning of every raw label value.

    Args:
        class_names: One name for each class id 0..K-1; the ignored one is not counted.
        palette: One RGB colour for each class.
        values: Raw value in a label file -> class id, or `ignore_index`; others are a fault.
        ignore_index: Id of pixels that neither train nor score.

    Raises:
        InputError: No class or too many, names or palette of another length, or a colour or an id
            out of range.
    """

    class_names: tuple[str, ...]
    palette: tuple[Color, ...]
    values: Mapping[int, int] = field(default_factory=dict)
    ignore_index: int = IGNORE_INDEX

    def __post_init__(self) -> None:
        if not 1 <= len(self.class_names) <= MAX_CLASSES:
            raise InputError(
                f"{len(self.class_names)} classes given; allowed are 1 to {MAX_CLASSES}"
            )
        if len(set(self.class_names)) != len(self.class_names):
            doubled = sorted({n for n in self.class_names if self.class_names.count(n) > 1})
            raise InputError(f"class names stand twice: {', '.join(doubled)}; name each class once")
        if len(self.palette) != len(self.class_names):
            raise InputError(
                f"the palette has {len(self.palette)} colours for {len(self.class_names)} classes; "
                "give one colour for each class"
            )
        for color in self.palette:
            if len(color) != 3 or not all(0 <= part <= MAX_BYTE for part in color):
                raise InputError(
                    f"the palette holds {color}; a colour is red, green and blue, each from 0 to "
                    f"{MAX_BYTE}"
                )
        if not self.num_classes <= self.ignore_index <= MAX_BYTE:  # label maps hold bytes
            raise InputError(
                f"ignore_index is {self.ignore_index}; beside {self.num_classes} classes it may be "
                f"{self.num_classes} to {MAX_BYTE}"
            )
        if not self.values:
            identity = {i: i for i in range(self.num_classes)} | {
                self.ignore_index: self.ignore_index
            }
            object.__setattr__(self, "values", identity)
        wrong = {
            raw: to
            for raw, to in self.values.items()
            if not (0 <= to < self.num_classes or to == self.ignore_index)
        }
        if wrong:
            raise InputError(
                f"label values are mapped to ids that do not exist: {wrong}; "
                f"allowed are 0 to {self.num_classes - 1} and {self.ignore_index} (ignored)"
            )

    @property
    def num_classes(self) -> int:
        """Classes predicted, the ignored one not counted."""
        return len(self.class_names)

    def to_dict(self) -> dict[str, Any]:
        """Plain values, as they stand in `model.json` and `dataset.yaml`."""
        return {
            "class_names": list(self.class_names),
            "palette": [list(color) for color in self.palette],
            "ignore_index": self.ignore_index,
            "values": {int(raw): int(to) for raw, to in self.values.items()},
        }

    @classmethod
    def from_dict(cls, plain: Mapping[str, Any]) -> "LabelSpec":
        """The inverse of `to_dict`; JSON's text keys in `values` are accepted."""
        return cls(
            class_names=tuple(str(name) for name in plain["class_names"]),
            palette=tuple((int(r), int(g), int(b)) for r, g, b in plain["palette"]),
            values={int(raw): int(to) for raw, to in plain.get("values", {}).items()},
            ignore_index=int(plain.get("ignore_index", IGNORE_INDEX)),
        )


def voc_palette(num_colors: int) -> tuple[Color, ...]:
    """PASCAL VOC's colour map: the bits of the id, interleaved over red, green and blue.

    Source: VOC2012 development kit, `VOClabelcolormap`.
    """
    colors = []
    for index in range(num_colors):
        red = green = blue = 0
        rest = index
        for shift in range(7, -1, -1):
            red |= (rest & 1) << shift
            green |= (rest >> 1 & 1) << shift
            blue |= (rest >> 2 & 1) << shift
            rest >>= 3
        colors.append((red, green, blue))
    return tuple(colors)
