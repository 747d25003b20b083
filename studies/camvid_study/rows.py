"""What a row of the study is: one declared change to the base, at one size, on one host."""

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from dualseg.core.geometry import Size

Changes = Mapping[str, Mapping[str, Any]]
"""Recipe section -> key -> value."""

LOW_LABEL, FULL_LABEL, SSSR = "low label", "full label", "+SSSR"
LOW_MAJORITY = "low label, by majority"
SISR, ALL, FULL_INPUT = "+SSSR +SISR", "+SSSR +SISR +FA", "full input"
BASELINES = (LOW_LABEL, FULL_LABEL)


@dataclass(frozen=True)
class InputSize:
    """What a network at low resolution sees.

    Args:
        picture: (height, width) of images and labels, in training and when scored.
        shrunk: Whether the pictures are CamVid's at half size.
    """

    picture: Size
    shrunk: bool


SIZES = {
    "90x120": InputSize((180, 240), shrunk=True),
    "180x240": InputSize((360, 480), shrunk=False),
}
"""Input of the low-resolution networks -> what belongs to it."""


@dataclass(frozen=True)
class Row:
    """One network of the study, trained once for each seed.

    Args:
        name: Unique at its size and host.
        part: Of the study that declares it.
        size: A name in `SIZES`.
        host: A name in `hosts.HOSTS`, or `hosts.OWN_NETWORK`.
        changes: Laid on the base and the host, section by section, key by key.
        against: Names of the rows it is compared with, at the same size and host.
        teacher: Name of the row whose network teaches it, or the file of a network.
        begins_with: Name of the row whose weights it begins with, or their file.
        length: Its epochs, as a multiple of those asked for.
        is_full_input: It is fed the picture itself, not half of it.
        is_step: Only a step towards another row; it stands in no table.
    """

    name: str
    part: str
    size: str
    host: str
    changes: Changes = field(default_factory=dict)
    against: tuple[str, ...] = ()
    teacher: str | Path | None = None
    begins_with: str | Path | None = None
    length: float = 1.0
    is_full_input: bool = False
    is_step: bool = False

    @property
    def needs(self) -> tuple[str, ...]:
        """Names of the rows that are trained before it."""
        return tuple(each for each in (self.teacher, self.begins_with) if isinstance(each, str))

    @property
    def input_name(self) -> str:
        """Height x width of what the network sees."""
        height, width = SIZES[self.size].picture
        return f"{height}x{width}" if self.is_full_input else self.size

    def epochs(self, asked: int) -> int:
        """At least one."""
        return max(1, round(self.length * asked))


def slug(name: str) -> str:
    """A row's name as a folder's: `FA weight 0.1 on +SSSR` -> `fa_weight_0_1_on_sssr`."""
    return re.sub(r"[^a-z0-9]+", "_", name.lower()).strip("_")


def combined(*changes: Changes) -> dict[str, dict[str, Any]]:
    """Later changes laid on earlier ones, key by key; a value is replaced as a whole."""
    laid: dict[str, dict[str, Any]] = {}
    for each in changes:
        for section, values in each.items():
            laid[section] = {**laid.get(section, {}), **values}
    return laid
