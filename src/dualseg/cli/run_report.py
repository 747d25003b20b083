"""What is made of a finished run: scores, pictures, report.html."""

import time
from pathlib import Path
from typing import Any

from torch import nn

from dualseg.checkpoints.model_files import load_model
from dualseg.cli.console import counting
from dualseg.cli.recipes import open_evaluation_data
from dualseg.config import load_recipe
from dualseg.data.dataset import SegmentationDataset
from dualseg.evaluation.evaluate import (
    WHOLE,
    Evaluation,
    evaluation_mode,
    evaluation_of,
    scored_dataset,
)
from dualseg.evaluation.gallery import collect_gallery
from dualseg.evaluation.tally import Tally, tally_images
from dualseg.inference.protocol import strategy
from dualseg.inference.strategies import find_facts
from dualseg.metrics.interval import MiouInterval, mious
from dualseg.training.environment import choose_device
from dualseg.training.records.run_folder import CONFIG_FILE
from dualseg.visual.report import write_report

REPORT_SCORES = ("interval", "calibration", "boundary_iou", "trimap", "object_sizes")
"""Those that cost little beside the network; `dualseg evaluate` gives the others."""

DECIMALS = 6
"""Of the resampled scores in the file."""


def finish_run(run: Path, *, checkpoint: str = "best") -> Path:
    """Evaluates a run's checkpoint in full and writes `RUN/evaluation` and `RUN/report.html`.

    Args:
        run: Run folder.
        checkpoint: "best", or "last" where nothing may be chosen by the validation score.

    Returns:
        The report.
    """
    if not (run / "checkpoints" / checkpoint).exists():
        checkpoint = "last"  # no validation has found a best one
    model = load_model(run / "checkpoints" / checkpoint)
    labels = model.facts.labels if model.facts else None
    dataset = open_evaluation_data(str(run), None, None, labels)
    model.to(choose_device(load_recipe(run / CONFIG_FILE).runtime.device))
    evaluation, resampled = _evaluate_in_full(model, dataset)
    collect_gallery(run, model, dataset, evaluation, checkpoint=checkpoint, resampled=resampled)
    return write_report(run)


def _evaluate_in_full(
    model: nn.Module, dataset: SegmentationDataset
) -> tuple[Evaluation, dict[str, Any] | None]:
    """`evaluate` with the scores of a report, and the resamples behind its interval beside it."""
    facts = find_facts(model, None)
    start = time.perf_counter()
    with evaluation_mode(model), counting("evaluating") as progress:
        tally = tally_images(
            strategy(model, facts, WHOLE),
            scored_dataset(dataset, facts, WHOLE),
            scores=REPORT_SCORES,
            progress=progress,
        )
    seconds = time.perf_counter() - start
    protocol = WHOLE.to_dict(facts, "fp32")
    return evaluation_of(tally, protocol=protocol, seconds=seconds), _resampled(tally)


def _resampled(tally: Tally) -> dict[str, Any] | None:
    interval = tally.collectors["interval"]
    if not isinstance(interval, MiouInterval) or interval.num_images < 2:
        return None
    drawn = interval.sums[interval.sums[:, 1].any(axis=1)]
    scores = [round(float(score), DECIMALS) for score in mious(drawn)]
    return {"seed": interval.seed, "resamples": len(interval.sums), "mious": scores}
