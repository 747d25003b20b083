"""Part `best`: the network from scratch at half its input, beside itself at full input."""

from typing import Any

from camvid_study.rows import OWN_NETWORK, Row, combined
from camvid_study.scratch_rows import (
    BATCHES_OF_4,
    CHANGES,
    REFERENCE,
    SIZE,
    SMALL_CROPS,
    WHOLE_AFTER_CROPS,
    scratch_rows,
)
from dualseg.training.ablation import VARIANTS

HALF = "half input after small crops"
TAUGHT = "half input after small crops (taught)"
TAUGHT_SSSR = "half input +SSSR after small crops (taught)"

# The crops were about as many pixels as half a picture, so the rates stay. Things are half as
# large as there, so more is to be relearned than at full input: a longer, steeper way.
_HALF_INPUT: dict[str, dict[str, Any]] = combined(
    CHANGES[SMALL_CROPS],
    BATCHES_OF_4,
    {"data": {"input_scale": 0.5, "crop_size": [360, 480]}, "training": {"lr": 0.0015}},
)


def best_rows() -> list[Row]:
    """Full input, then half of it: from the same weights, and taught by the former."""
    from_scratch = (REFERENCE, SMALL_CROPS, WHOLE_AFTER_CROPS)
    return [
        *(row for row in scratch_rows() if row.name in from_scratch),
        _row(HALF, "full label", WHOLE_AFTER_CROPS),
        _row(TAUGHT, "full label", WHOLE_AFTER_CROPS, HALF, teacher=WHOLE_AFTER_CROPS),
        _row(TAUGHT_SSSR, "+SSSR", WHOLE_AFTER_CROPS, TAUGHT, teacher=WHOLE_AFTER_CROPS),
    ]


def _row(name: str, base: str, *against: str, teacher: str | None = None) -> Row:
    return Row(
        name,
        "best",
        SIZE,
        OWN_NETWORK,
        combined(_HALF_INPUT, VARIANTS[base]),
        against,
        teacher=teacher,
        begins_with=SMALL_CROPS,
    )
