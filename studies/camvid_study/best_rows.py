"""Part `best`: the network from scratch at half its input, taught by itself at full input."""

from typing import Any

from camvid_study.rows import OWN_NETWORK, Row, combined
from camvid_study.scratch_rows import CHANGES, REFERENCE, SIZE, scratch_rows
from dualseg.training.ablation import VARIANTS

HALF = f"{REFERENCE} at half input"
TAUGHT = f"{HALF} (taught)"
BEGUN = f"{HALF} (begun with full input and taught)"
BEGUN_SSSR = f"{HALF} +SSSR (begun with full input and taught)"

_HALF_INPUT: dict[str, dict[str, Any]] = combined(
    CHANGES[REFERENCE],
    {"data": {"input_scale": 0.5}, "model": {"atrous_rates": [2, 4, 6]}},
)


def best_rows() -> list[Row]:
    """The teacher, the same network at half its input, and what the teacher gives it."""
    (teacher,) = (row for row in scratch_rows() if row.name == REFERENCE)
    return [
        teacher,
        _row(HALF, "full label", REFERENCE),
        _row(TAUGHT, "full label", REFERENCE, HALF, teacher=REFERENCE),
        _row(BEGUN, "full label", REFERENCE, HALF, teacher=REFERENCE, begins_with=REFERENCE),
        _row(BEGUN_SSSR, "+SSSR", REFERENCE, BEGUN, teacher=REFERENCE, begins_with=REFERENCE),
    ]


def _row(
    name: str,
    base: str,
    *against: str,
    teacher: str | None = None,
    begins_with: str | None = None,
) -> Row:
    return Row(
        name,
        "best",
        SIZE,
        OWN_NETWORK,
        combined(_HALF_INPUT, VARIANTS[base]),
        against,
        teacher=teacher,
        begins_with=begins_with,
    )
