"""Part `scratch`: the best network at full input without any pre-training, of few parameters."""

from typing import Any

from camvid_study.hosts import OWN_NETWORK
from camvid_study.rows import Row, combined

MAX_PARAMETERS = 5_000_000
SIZE = "180x240"  # whose pictures are 360x480
REFERENCE = "RegNetY-400MF"
SMALL_CROPS = "every stride on small crops"
WHOLE_AFTER_CROPS = "whole pictures after small crops"

# Schedule, stride and width of the head are those of the recipe camvid_30min.
_COMMON: dict[str, dict[str, Any]] = {
    "dsrl": {"enabled": False},
    "model": {
        "name": "deeplabv3plus",
        "output_stride": 32,
        "atrous_rates": [3, 6, 9],
        "head_options": {"channels": 128, "dropout": 0.1},
    },
    "data": {"input_scale": 1.0, "class_balance": 0.5},
    "training": {"lr": 0.003, "weight_decay": 0.02, "schedule": "one_cycle", "warmup_steps": 0},
}
_REGNETY = combined(_COMMON, {"model": {"backbone": "regnety_004"}})
_EVERY_STRIDE: dict[str, dict[str, Any]] = {
    "model": {
        "head_options": {"channels": 128, "dropout": 0.1, "decoder_channels": [128, 64, 48, 32]}
    }
}
# 0.28 of a whole picture's cost, so that most of the learning is cheap; but whole pictures are
# scored, and a network that knows only crops loses points there.
_SMALL_CROPS: dict[str, dict[str, Any]] = {
    "data": {"crop_size": [192, 256]},
    "model": {"atrous_rates": [2, 4, 6]},
}
BATCHES_OF_4: dict[str, dict[str, Any]] = {"training": {"batch_size": 4, "ema_decay": 0.999}}
_WHOLE_AFTER_CROPS = combined(BATCHES_OF_4, {"training": {"lr": 0.001}})

CHANGES: dict[str, dict[str, dict[str, Any]]] = {
    REFERENCE: _REGNETY,
    "MobileNetV2": combined(_COMMON, {"model": {"backbone": "mobilenet_v2"}}),
    "RegNetX-200MF": combined(_COMMON, {"model": {"backbone": "regnetx_002"}}),
    "Lovász": combined(_REGNETY, {"loss": {"terms": {"cross_entropy": 1.0, "lovasz": 1.0}}}),
    "every stride": combined(_REGNETY, _EVERY_STRIDE),
    "every stride and batches of 4": combined(_REGNETY, _EVERY_STRIDE, BATCHES_OF_4),
    SMALL_CROPS: combined(_REGNETY, _EVERY_STRIDE, _SMALL_CROPS),
    WHOLE_AFTER_CROPS: combined(_REGNETY, _EVERY_STRIDE, _WHOLE_AFTER_CROPS),
}
LENGTHS = {SMALL_CROPS: 1.5, WHOLE_AFTER_CROPS: 0.6}
"""Of rows that take another share of the epochs; both together see about the first row's pixels."""


def scratch_rows() -> list[Row]:
    """All of them, each against the first."""
    return [
        Row(
            name,
            "scratch",
            SIZE,
            OWN_NETWORK,
            changes,
            () if name == REFERENCE else (REFERENCE,),
            begins_with=SMALL_CROPS if name == WHOLE_AFTER_CROPS else None,
            length=LENGTHS.get(name, 1.0),
            is_full_input=True,
        )
        for name, changes in CHANGES.items()
    ]
