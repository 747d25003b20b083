"""Part `ablation`: the baselines, DSRL part by part, and the host at full input."""

from typing import Any

from camvid_study.rows import (
    ALL,
    BASELINES,
    FULL_INPUT,
    LOW_LABEL,
    LOW_MAJORITY,
    SISR,
    SSSR,
    Row,
)
from dualseg.training.ablation import VARIANTS

AGAINST = {
    LOW_LABEL: (),
    LOW_MAJORITY: (LOW_LABEL,),
    "full label": (LOW_LABEL, LOW_MAJORITY),
    SSSR: BASELINES,
    SISR: (*BASELINES, SSSR),
    ALL: (*BASELINES, SSSR, SISR),  # SISR and FA together, and FA alone
    FULL_INPUT: BASELINES,
}
MAJORITY_CHANGES: dict[str, dict[str, Any]] = {
    "dsrl": {"enabled": False},
    "data": {"label_size": "input", "label_shrink": "majority"},
}
FULL_INPUT_CHANGES: dict[str, dict[str, Any]] = {
    "dsrl": {"enabled": False},
    "data": {"input_scale": 1.0},
}


def ablation_rows(size: str, host: str) -> list[Row]:
    """The seven rows of one size and host, in the order of the table."""
    low = [
        Row(name, "ablation", size, host, changes, AGAINST[name])
        for name, changes in VARIANTS.items()
    ]
    low.insert(
        1,
        Row(LOW_MAJORITY, "ablation", size, host, MAJORITY_CHANGES, AGAINST[LOW_MAJORITY]),
    )
    full = Row(
        FULL_INPUT,
        "ablation",
        size,
        host,
        FULL_INPUT_CHANGES,
        AGAINST[FULL_INPUT],
        is_full_input=True,
    )
    return [*low, full]
