"""Where a network is right: accuracy by the distance from a boundary between classes.

What a finer answer can mend lies at boundaries; what is taken for something else altogether is
wrong far from them too.
"""

from collections.abc import Mapping
from itertools import pairwise

from torch import nn

from camvid_study.at_hand import Numbers, mean_of, measured_of
from camvid_study.summary import Place, Result
from dualseg.data.dataset import SegmentationDataset
from dualseg.evaluation.evaluate import evaluate
from dualseg.metrics.trimap import LIMITS
from dualseg.visual.comparison_tables import Cells

BANDS_FILE = "bands.json"


def measure_bands(model: nn.Module, dataset: SegmentationDataset) -> Numbers:
    """Pixel accuracy in each band of `Trimap`, void left out.

    Args:
        model: Pruned, with its facts.
        dataset: Whose whole images are predicted, at the size they have.

    Returns:
        `right <band>` and `share <band>`, its share of the known pixels.
    """
    bands = evaluate(model, dataset, scores=["trimap"]).extra["trimap"]["bands"]
    total = sum(band["pixels"] for band in bands)
    found: dict[str, float] = {}
    for name, band in zip(band_names(), bands, strict=True):
        found[f"share {name}"] = band["pixels"] / total
        found[f"right {name}"] = band["pixel_accuracy"] or 0.0
    return found


def band_names() -> list[str]:
    """`0 to 2 px` ... `from 16 px`."""
    inner = (f"{low} to {high} px" for low, high in pairwise((0, *LIMITS)))
    return [*inner, f"from {LIMITS[-1]} px"]


def band_cells(results: Mapping[Place, Mapping[str, Result]]) -> Cells:
    """Head, one line a row, and below each place how many pixels there are; means over the seeds.

    The head alone where nothing was measured.
    """
    lines = [["pixel accuracy", "host", "input", "epochs", "seeds", *band_names()]]
    for (epochs, size, host), of_place in results.items():
        measured = {name: measured_of(each, BANDS_FILE) for name, each in of_place.items()}
        for name, known in measured.items():
            if known:
                values = [f"{mean_of(known, f'right {band}'):.3f}" for band in band_names()]
                lines.append([name, host, size, str(epochs), str(len(known)), *values])
        of_all = [numbers for known in measured.values() for numbers in known]
        if of_all:
            shares = [f"{100 * mean_of(of_all, f'share {band}'):.1f} %" for band in band_names()]
            lines.append(["share of all pixels", host, size, "", "", *shares])
    return lines
