"""Part `beyond`: what else helps at the same input, on the fair baseline and on SSSR."""

from pathlib import Path
from typing import Any

from camvid_study.hosts import HOSTS, fitted_rates
from camvid_study.rows import ALL, FULL_INPUT, FULL_LABEL, SSSR, Row, combined
from dualseg.training.ablation import VARIANTS

Sections = dict[str, dict[str, Any]]

CHANGES: dict[str, Sections] = {
    "strong colours": {"data": {"photometric": 0.8}},
    "many resolutions": {"data": {"scale_range": [0.25, 3.0]}},
    # Half of the base's crops are whole pictures made smaller, with a rim that teaches nothing.
    "no shrinking": {"data": {"scale_range": [1.0, 2.0]}},
    "balanced crops": {"data": {"class_balance": 0.5}},
    "OHEM": {"loss": {"terms": {"ohem": 1.0}}},
    "boundary loss": {"loss": {"terms": {"cross_entropy": 1.0, "boundary": 0.01}}},
    "Lovász": {"loss": {"terms": {"cross_entropy": 1.0, "lovasz": 1.0}}},
    "no class weights": {"loss": {"class_weights": None}},
    "no EMA": {"training": {"ema_decay": None}},
    # These three against what the trained host suffers from: it knows its training images too well.
    "drop path": {"model": {"backbone_options": {"drop_path_rate": 0.2}}},
    "label smoothing": {"loss": {"label_smoothing": 0.1}},
    "no annealing": {"training": {"schedule": "constant"}},
    "RegNetX-400MF": {"model": {"backbone": "regnetx_004"}},
}
TAUGHT = "taught by full input"
LONGER = "twice as long"
STRIDE_8 = "output stride 8"
EVERY_STRIDE = "decoder of every stride"
TOGETHER = "together"
COMBINED: tuple[str, ...] = ("balanced crops", "Lovász", "RegNetX-400MF")
"""Of `CHANGES`, those that `together` joins with the teacher and twice the length."""


def beyond_rows(size: str, host: str) -> list[Row]:
    """All of one size and host: each change on `full label` and on `+SSSR`.

    The teacher stands on all of DSRL too: where each has helped alone, do they together? Left out
    is what a host has already, and another backbone where it begins with weights.
    """
    rows = []
    teacher = HOSTS[host].teacher or FULL_INPUT
    fitting = [name for name, each in CHANGES.items() if _fits(host, each)]
    for base in (FULL_LABEL, SSSR):
        for name in fitting:
            rows.append(_row(name, base, size, host, CHANGES[name]))
        rows.append(_row(STRIDE_8, base, size, host, _stride_8(size)))
        if HOSTS[host].weights is None:  # they hold a decoder
            rows.append(_row(EVERY_STRIDE, base, size, host, _every_stride(host)))
        rows.append(_row(TAUGHT, base, size, host, {}, teacher=teacher))
        rows.append(_row(LONGER, base, size, host, {}, length=2.0))
    rows.append(_row(TAUGHT, ALL, size, host, {}, teacher=teacher))
    joined = combined(*(CHANGES[name] for name in COMBINED if name in fitting))
    for base in (FULL_LABEL, SSSR):
        rows.append(_row(TOGETHER, base, size, host, joined, teacher=teacher, length=2.0))
    return rows


def _fits(host: str, changes: Sections) -> bool:
    had = HOSTS[host].changes
    keeps_weights = HOSTS[host].begins_at_random or "backbone" not in changes.get("model", {})
    return keeps_weights and combined(had, changes) != had


def _stride_8(size: str) -> Sections:
    """A finer deepest map keeps its reach only with larger rates."""
    rates = fitted_rates(size, 8, is_full_input=False)
    return {"model": {"output_stride": 8, "atrous_rates": list(rates)}}


def _every_stride(host: str) -> Sections:
    """Light hosts spend on it what SSSR costs: an ordinary decoder, down to stride 2."""
    had = HOSTS[host].changes.get("model", {}).get("head_options", {"dropout": 0.1})
    return {"model": {"head_options": {**had, "decoder_channels": [128, 64, 64]}}}


def _row(
    name: str,
    base: str,
    size: str,
    host: str,
    changes: Sections,
    *,
    teacher: str | Path | None = None,
    length: float = 1.0,
) -> Row:
    return Row(
        f"{name} on {base}",
        "beyond",
        size,
        host,
        combined(VARIANTS[base], changes),
        tuple(dict.fromkeys((base, FULL_LABEL))),
        teacher=teacher,
        length=length,
    )
