"""What is measured on finished networks while they lie in the study's folder, kept run by run.

Records have no networks, but they keep what was measured on them.
"""

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

from torch import nn

from camvid_study.plan import MODEL_FILE
from camvid_study.rows import SIZES
from camvid_study.shrunk import SHRUNK_FOLDER, make_shrunk
from camvid_study.summary import Result, read_results
from dualseg.checkpoints.json_files import read_json
from dualseg.checkpoints.model_files import load_model
from dualseg.core.files import write_json
from dualseg.data.dataset import SegmentationDataset
from dualseg.data.datasets.camvid import open_camvid

Numbers = Mapping[str, float]
Measure = Callable[[nn.Module, SegmentationDataset], Numbers | None]
"""A pruned network and CamVid's val split -> numbers; None where there is nothing to measure."""


def measure_networks(out: Path, data: Path, file: str, measure: Measure) -> dict[str, Numbers]:
    """Adds the networks at hand that are not in `OUT/file` yet; returns all it holds.

    Args:
        out: The study's folder.
        data: CamVid.
        file: Name of a JSON file.
        measure: Of one network.

    Raises:
        InputError: Nothing is finished yet.
    """
    found = read_measured(out, file)
    for (_, size, _), of_place in read_results(out).items():
        root = make_shrunk(data, out / SHRUNK_FOLDER) if SIZES[size].shrunk else data
        for folder in [run for result in of_place.values() for run in result.runs.values()]:
            run = folder.relative_to(out).as_posix()
            if run in found or not (folder / MODEL_FILE).is_file():
                continue
            numbers = measure(load_model(folder / MODEL_FILE), open_camvid(root, "val"))
            if numbers is not None:
                found[run] = numbers
                write_json(out / file, found)
    return found


def read_measured(out: Path, file: str) -> dict[str, Any]:
    """Run -> its numbers; empty before the first measurement."""
    path = out / file
    return dict(read_json(path)) if path.is_file() else {}


def of_seeds(measured: Mapping[str, Numbers], result: Result, out: Path) -> list[Numbers]:
    """Of a row's runs, those that were measured."""
    runs = [run.relative_to(out).as_posix() for run in result.runs.values()]
    return [measured[run] for run in runs if run in measured]


def mean_of(known: Sequence[Numbers], key: str) -> float:
    """Over the seeds."""
    return sum(numbers[key] for numbers in known) / len(known)
