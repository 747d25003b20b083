"""Part `variants`: what the paper leaves open, each as one change to the row it belongs to."""

from typing import Any

from camvid_study.rows import ALL, FULL_LABEL, SISR, SSSR, Row, combined
from dualseg.training.ablation import VARIANTS

# name -> (the row it changes, what it changes)
CHANGES: dict[str, tuple[str, dict[str, dict[str, Any]]]] = {
    "FA after prediction": (ALL, {"dsrl": {"affinity_features": "after_prediction"}}),
    "FA not normalised": (ALL, {"dsrl": {"affinity_normalization": "none"}}),
    "FA by L2": (ALL, {"dsrl": {"affinity_distance": "l2"}}),
    "FA weight 0.1": (ALL, {"dsrl": {"affinity_weight": 0.1}}),
    "FA weight 10": (ALL, {"dsrl": {"affinity_weight": 10.0}}),
    "no warm-up": (ALL, {"dsrl": {"warmup_steps": 0}}),
    "FTM on both sides": (ALL, {"dsrl": {"ftm": "both"}}),
    "SISR in 0..1": (SISR, {"dsrl": {"image_target": "unit"}}),
    "SISR by L1": (SISR, {"loss": {"reconstruction": "l1"}}),
    "SISR weight 1": (SISR, {"dsrl": {"image_weight": 1.0}}),
    "SSSR by pixel shuffle": (SSSR, {"dsrl": {"sssr": "pixel_shuffle"}}),
    # Tells pixel shuffle's finer answer from its classifier, which has one layer more.
    "SSSR by bilinear convolution": (SSSR, {"dsrl": {"sssr": "bilinear_convolution"}}),
    "SSSR as released (two deconvolutions)": (SSSR, {"dsrl": {"sssr": "official"}}),
    # The host as it is, at its own cost: what SISR and FA give without a decoder.
    "bilinear SSSR with SISR and FA": (ALL, {"dsrl": {"sssr": "bilinear"}}),
    "ASPP rates 6/12/18": (FULL_LABEL, {"model": {"atrous_rates": [6, 12, 18]}}),
    "ASPP rates 6/12/18 on +SSSR": (SSSR, {"model": {"atrous_rates": [6, 12, 18]}}),
}
STAGES = ("stage 1 of 3", "stage 2 of 3", "in three stages")


def variant_rows(size: str, host: str) -> list[Row]:
    """All of one size and host."""
    rows = [
        Row(name, "variants", size, host, combined(VARIANTS[base], changes), _against(base))
        for name, (base, changes) in CHANGES.items()
    ]
    return [*rows, *_stages(size, host)]


def _against(base: str) -> tuple[str, ...]:
    return tuple(dict.fromkeys((base, FULL_LABEL)))


def _stages(size: str, host: str) -> list[Row]:
    """Three trainings of a third of the length each: SSSR, then SISR too, then FA too."""
    return [
        Row(
            name,
            "variants",
            size,
            host,
            {"dsrl": {"enabled": True, "stage": stage}},
            _against(ALL) if stage == 3 else (),
            begins_with=STAGES[stage - 2] if stage > 1 else None,
            length=1 / 3,
            is_step=stage < 3,
        )
        for stage, name in enumerate(STAGES, start=1)
    ]
