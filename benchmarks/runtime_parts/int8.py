"""The row of int8: how much faster than our bf16, and what it costs in mIoU."""

import subprocess
import sys
import tempfile
from pathlib import Path

import torch
from torch import nn

from dualseg.checkpoints.model_files import load_model
from dualseg.config import load_recipe
from dualseg.core.facts import ModelFacts
from dualseg.core.geometry import Size
from dualseg.data.catalog import kind_of_folder, open_dataset
from dualseg.data.dataset import SegmentationDataset
from dualseg.evaluation.cropped import CenterCropped
from dualseg.evaluation.evaluate import evaluate_logits
from dualseg.export.exported import Exported
from dualseg.export.samples import images_of_dataset, network_inputs
from runtime_parts import ours
from runtime_parts.rows import Row, Settings
from runtime_parts.turns import compare

GOAL, MAX_POINTS = 1.4, 0.5
STEPS = 100


def int8(settings: Settings) -> Row:
    with tempfile.TemporaryDirectory() as folder:
        run = settings.model or _train(Path(folder) / "run")
        model = load_model(run)
    facts = model.facts
    assert isinstance(facts, ModelFacts)
    images, scored = _data(settings, facts)
    size = scored.image(0).shape[:2]
    scores = []
    for calibrated in (False, True):
        exported = _export(model, facts, size, images if calibrated else None)
        scores.append(_miou(exported, scored, facts))
    points = 100 * abs(scores[0] - scores[1])
    bf16 = _export(model, facts, settings.size, None)
    own = _export(model, facts, settings.size, images)
    compared = compare(
        ours.network_alone(own, facts, settings.size),
        ours.network_alone(bf16, facts, settings.size),
        rounds=settings.rounds,
    )
    name = f"{facts.architecture['name']}, {facts.architecture['backbone']}"
    height, width = settings.size
    where = "trained for this row" if settings.model is None else settings.model.name
    note = (
        f"{where}: mIoU {100 * scores[0]:.2f} and {100 * scores[1]:.2f} on {len(scored)} images: "
        f"{points:.2f} points, at most {MAX_POINTS} allowed"
    )
    work = f"int8, {name}, image {height}x{width}, network only"
    return Row(work, f"our {settings.precision}", GOAL, compared, note, points <= MAX_POINTS)


def _train(run: Path) -> Path:
    """A small network on the embedded scenes, whole images in, no super-resolution."""
    changes = ("dsrl.enabled=false", "data.input_scale=1.0", f"training.max_steps={STEPS}")
    sets = [part for change in changes for part in ("--set", change)]
    command = [sys.executable, "-m", "dualseg", "train", "quickstart", "--out", str(run), *sets]
    subprocess.run(command, check=True, stdout=subprocess.DEVNULL)
    return run


def _data(settings: Settings, facts: ModelFacts) -> tuple[SegmentationDataset, SegmentationDataset]:
    """To calibrate on and to score on; the latter all of one size."""
    name, root = "streets", settings.data
    if settings.model is not None:
        name = kind_of_folder(load_recipe(settings.model / "config.yaml").data.name)
    train, val = (
        open_dataset(name, root=root, split=split, labels=facts.labels)
        for split in ("train", "val")
    )
    height, width = val.image(0).shape[:2]
    return train, CenterCropped(val, (height, width))


def _export(
    model: nn.Module, facts: ModelFacts, size: Size, images: SegmentationDataset | None
) -> Exported:
    inputs = []
    if images is not None:
        inputs = network_inputs(images_of_dataset(CenterCropped(images, size)), facts, size=size)
    return ours.export(model, facts, size, measure=False, calibration=inputs).exported


def _miou(exported: Exported, dataset: SegmentationDataset, facts: ModelFacts) -> float:
    with torch.inference_mode():
        return evaluate_logits(exported.logits, dataset, facts=facts).scores.miou
