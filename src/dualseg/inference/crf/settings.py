"""The numbers of a fully connected CRF."""

import math
from collections.abc import Sequence
from dataclasses import asdict, dataclass, fields, replace

from dualseg.core.errors import InputError, nearest

MAX_ITERATIONS = 100


@dataclass(frozen=True)
class CrfSettings:
    """Weights and widths of the two kernels.

    The defaults are DeepLab v2's for VOC 2012. They suit objects of a few hundred pixels; other
    data want a search (`search_crf`).

    Args:
        iterations: Mean-field updates.
        bi_w: Weight of the kernel that sees position and colour.
        bi_xy_std: Its width in pixels.
        bi_rgb_std: Its width in colour values, 0..255.
        pos_w: Weight of the kernel that sees position alone.
        pos_xy_std: Its width in pixels.

    Raises:
        InputError: A width that is not positive, a weight that is negative, no iteration.
    """

    iterations: int = 10
    bi_w: float = 4.0
    bi_xy_std: float = 67.0
    bi_rgb_std: float = 3.0
    pos_w: float = 3.0
    pos_xy_std: float = 1.0

    def __post_init__(self) -> None:
        faults = []
        if not 1 <= self.iterations <= MAX_ITERATIONS or int(self.iterations) != self.iterations:
            faults.append(
                f"iterations is {self.iterations}; give a whole number from 1 to {MAX_ITERATIONS}"
            )
        for name in ("bi_w", "pos_w"):
            value = getattr(self, name)
            if not (math.isfinite(value) and value >= 0):
                faults.append(f"{name} is {value}; give 0 or a positive weight")
        for name in ("bi_xy_std", "bi_rgb_std", "pos_xy_std"):
            value = getattr(self, name)
            if not (math.isfinite(value) and value > 0):
                faults.append(f"{name} is {value}; give a positive width")
        if faults:
            raise InputError("the CRF cannot run so:", faults)

    def changed(self, assignments: Sequence[str]) -> "CrfSettings":
        """With `name=value` texts applied, as the command line gives them.

        Raises:
            InputError: Unknown name, no number, or a number that cannot be.
        """
        known = {field.name for field in fields(self)}
        given: dict[str, float] = {}
        for assignment in assignments:
            name, equals, text = assignment.partition("=")
            if not equals or name not in known:
                raise InputError(
                    f"{assignment!r} sets nothing of the CRF; write NAME=NUMBER, "
                    f"{nearest(name, known)}"
                )
            given[name] = _number(name, text)
        return replace(self, **given)  # type: ignore[arg-type]  (checked by the new one)

    def to_dict(self) -> dict[str, float]:
        """Plain values, for a protocol."""
        return asdict(self)


def _number(name: str, text: str) -> float:
    try:
        return int(text) if name == "iterations" else float(text)
    except ValueError:
        kind = "a whole number" if name == "iterations" else "a number"
        raise InputError(f"{name}={text}: {text!r} is not {kind}") from None
