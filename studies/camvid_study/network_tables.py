"""`--networks`: what is measured on the finished networks themselves, and its tables."""

from collections.abc import Mapping
from pathlib import Path

from camvid_study.at_hand import measure_networks
from camvid_study.bands import BANDS_FILE, band_cells, measure_bands
from camvid_study.learned_part import LEARNED_FILE, learned_cells, measure_learned_part
from camvid_study.summary import Place, Result, read_results
from dualseg.core.errors import InputError
from dualseg.data.datasets.camvid import open_camvid
from dualseg.visual.comparison_tables import markdown_table

MEASURES = {
    BANDS_FILE: measure_bands,
    LEARNED_FILE: measure_learned_part,
}


def write_network_tables(out: Path, data: Path) -> str:
    """Measures the networks that lie there and were not measured yet; returns the tables.

    Args:
        out: The study's folder.
        data: CamVid, whose val split is predicted.

    Raises:
        InputError: `data` is no CamVid, or no finished network lies there.
    """
    open_camvid(data, "val")
    for file, measure in MEASURES.items():
        measure_networks(out, data, file, measure)
    tables = network_tables(read_results(out))
    if not tables:
        raise InputError(f"no network of a finished run lies in {out}; train some there first")
    return tables


def network_tables(results: Mapping[Place, Mapping[str, Result]]) -> str:
    """As Markdown; empty where nothing was measured."""
    bands, learned = band_cells(results), learned_cells(results)
    parts = []
    if len(bands) > 1:
        parts += [
            "## Where pixels are right, by their distance from a boundary between classes\n",
            markdown_table(bands),
        ]
    if len(learned) > 1:
        parts += [
            "## What SSSR's learned part does\n",
            "Share of val's pixels whose class it changes, of those that are right with it, and of "
            "those that were right without it; mIoU with it and without, from the same weights.\n",
            markdown_table(learned),
        ]
    return "\n".join(parts)
