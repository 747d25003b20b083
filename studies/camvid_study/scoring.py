"""What is kept of a finished run: its scores, and each image's counts behind them.

Counts of single images add up to those of any set of them, so that intervals over images need no
second evaluation.
"""

from pathlib import Path
from typing import Any

import numpy as np
from torch import nn

from camvid_study.plan import MODEL_FILE, Run
from camvid_study.running import drop_checkpoints, keep_model
from dualseg.checkpoints.json_files import read_json
from dualseg.checkpoints.model_files import load_model
from dualseg.core.files import write_json
from dualseg.data.dataset import SegmentationDataset
from dualseg.data.datasets.camvid import open_camvid
from dualseg.evaluation.evaluate import WHOLE, evaluation_mode, evaluation_of
from dualseg.evaluation.tally import Tally, merge_tallies, tally_images
from dualseg.inference.protocol import strategy
from dualseg.inference.strategies import find_facts
from dualseg.metrics.boundary_iou import BoundaryIou
from dualseg.metrics.interval import right_truth_predicted
from dualseg.models.complexity import measure_complexity
from dualseg.training.environment import choose_device

SCORES_FILE = "scores.json"
SCORES = ("boundary_iou", "calibration", "cross_entropy")


def finish_run(run: Run, data: Path, *, keep_checkpoints: bool = False) -> None:
    """Keeps a trained run's network and scores, and drops its checkpoints.

    Args:
        run: Trained to its end.
        data: Folder whose val split is scored, at the size the run was trained at.
        keep_checkpoints: Drop nothing.
    """
    keep_model(run.folder)
    if not (run.folder / SCORES_FILE).exists():
        model = load_model(run.folder / MODEL_FILE)
        model.to(choose_device("auto"))
        write_json(run.folder / SCORES_FILE, score(model, open_camvid(data, "val")))
    if not keep_checkpoints:
        drop_checkpoints(run.folder)


def score(model: nn.Module, dataset: SegmentationDataset) -> dict[str, Any]:
    """Whole images at the size they have, in fp32, one confusion matrix.

    Args:
        model: Pruned, with its facts.
        dataset: What is scored.

    Returns:
        The object of `dualseg evaluate --json`, with `parameters`, `gflops` of one image,
        `input_size`, and under `images` each one's `name`, `right`, `truth` and `predicted` pixels
        of each class, and `rim_both` and `rim_either`, the same for rims.
    """
    facts = find_facts(model, None)
    count = len(dataset)
    with evaluation_mode(model):
        logits = strategy(model, facts, WHOLE)
        # Each image is a share of its own, so that its counts are known.
        tallies = [
            tally_images(logits, dataset, scores=SCORES, rank=rank, world=count)
            for rank in range(count)
        ]
    images = [_counts(tally) for tally in tallies]  # before the merge, which adds to the first
    protocol = WHOLE.to_dict(facts, "fp32")
    evaluation = evaluation_of(merge_tallies(tallies), protocol=protocol, seconds=0.0)
    size = dataset.image(0).shape[:2]
    low = round(size[0] * facts.input_scale), round(size[1] * facts.input_scale)
    complexity = measure_complexity(model, low)
    return {
        **evaluation.to_dict(),
        "split": dataset.split,
        "picture_size": list(size),
        "input_size": list(low),
        "parameters": complexity.parameters,
        "gflops": complexity.gflops,
        "images": images,
    }


def read_scores(folder: Path) -> dict[str, Any]:
    """What `finish_run` has written."""
    return read_json(folder / SCORES_FILE)


def _counts(tally: Tally) -> dict[str, Any]:
    right, truth, predicted = right_truth_predicted(tally.confusion).tolist()
    rims = tally.collectors["boundary_iou"]
    assert isinstance(rims, BoundaryIou)
    return {
        "name": tally.per_image[0].name,
        "right": right,
        "truth": truth,
        "predicted": predicted,
        "rim_both": np.asarray(rims.both).tolist(),
        "rim_either": np.asarray(rims.either).tolist(),
    }
