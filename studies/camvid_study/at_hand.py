"""What is measured on finished networks while they lie in the study's folder.

It is kept beside each network, so that it goes where the run goes. Records have no networks, but
they keep what was measured on them.
"""

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

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


def measure_networks(out: Path, data: Path, file: str, measure: Measure) -> None:
    """Writes `file` into the folder of every finished run that has a network and not yet that file.

    Args:
        out: The study's folder.
        data: CamVid.
        file: Name of a JSON file.
        measure: Of one network.

    Raises:
        InputError: Nothing is finished yet.
    """
    for (_, size, _), of_place in read_results(out).items():
        root = make_shrunk(data, out / SHRUNK_FOLDER) if SIZES[size].shrunk else data
        for folder in [run for result in of_place.values() for run in result.runs.values()]:
            if (folder / file).exists() or not (folder / MODEL_FILE).is_file():
                continue
            numbers = measure(load_model(folder / MODEL_FILE), open_camvid(root, "val"))
            if numbers is not None:
                write_json(folder / file, numbers)


def measured_of(result: Result, file: str) -> list[Numbers]:
    """Of a row's runs, those that were measured."""
    return [read_json(run / file) for run in result.runs.values() if (run / file).is_file()]


def mean_of(known: Sequence[Numbers], key: str) -> float:
    """Over the seeds."""
    return sum(numbers[key] for numbers in known) / len(known)
