"""Part `best`: the network from scratch at half its input, beside itself at full input."""

from typing import Any

from camvid_study.hosts import OWN_NETWORK
from camvid_study.rows import Row, combined
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

TAUGHT_SSSR = "half input +SSSR after small crops (taught)"

# The crops were about as many pixels as half a picture, so the rates stay. Things are half as
# large as there, so more is to be relearned than at full input: a longer, steeper way.
_HALF_INPUT: dict[str, dict[str, Any]] = combined(
    CHANGES[SMALL_CROPS],
    BATCHES_OF_4,
    {"data": {"input_scale": 0.5, "crop_size": [360, 480]}, "training": {"lr": 0.0015}},
)


def best_rows() -> list[Row]:
    """Full input, then half of it: from the same weights, and taught by the former.

    What SSSR and the teacher each give there is asked on the host `regnety_trained`.
    """
    from_scratch = (REFERENCE, SMALL_CROPS, WHOLE_AFTER_CROPS)
    taught = Row(
        TAUGHT_SSSR,
        "best",
        SIZE,
        OWN_NETWORK,
        combined(_HALF_INPUT, VARIANTS["+SSSR"]),
        (WHOLE_AFTER_CROPS,),
        teacher=WHOLE_AFTER_CROPS,
        begins_with=SMALL_CROPS,
    )
    return [*(row for row in scratch_rows() if row.name in from_scratch), taught]
