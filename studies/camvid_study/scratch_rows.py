"""Part `scratch`: the best network at full input without any pre-training, of few parameters."""

from typing import Any

from camvid_study.rows import OWN_NETWORK, Row, combined

MAX_PARAMETERS = 5_000_000
SIZE = "180x240"  # whose pictures are 360x480
REFERENCE = "RegNetY-400MF"

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
_STRIDE_16: dict[str, dict[str, Any]] = {
    "model": {"output_stride": 16, "atrous_rates": [6, 12, 18]}
}
_EVERY_STRIDE: dict[str, dict[str, Any]] = {
    "model": {
        "head_options": {"channels": 128, "dropout": 0.1, "decoder_channels": [128, 64, 48, 32]}
    }
}
_BATCHES_OF_4: dict[str, dict[str, Any]] = {"training": {"batch_size": 4, "ema_decay": 0.999}}

CHANGES: dict[str, dict[str, dict[str, Any]]] = {
    REFERENCE: _REGNETY,
    "output stride 16": combined(_REGNETY, _STRIDE_16),
    "MobileNetV2": combined(_COMMON, {"model": {"backbone": "mobilenet_v2"}}),
    "RegNetX-200MF": combined(_COMMON, {"model": {"backbone": "regnetx_002"}}),
    "Lovász": combined(_REGNETY, {"loss": {"terms": {"cross_entropy": 1.0, "lovasz": 1.0}}}),
    "OHEM": combined(_REGNETY, {"loss": {"terms": {"ohem": 1.0}}}),
    "every stride": combined(_REGNETY, _EVERY_STRIDE),
    "every stride and batches of 4": combined(_REGNETY, _EVERY_STRIDE, _BATCHES_OF_4),
}


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
            is_full_input=True,
        )
        for name, changes in CHANGES.items()
    ]
