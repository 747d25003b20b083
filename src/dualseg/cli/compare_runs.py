"""`dualseg report RUN RUN ...`: opens the runs, draws what their folders do not keep, writes."""

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import torch

from dualseg.checkpoints.model_files import load_model
from dualseg.cli.console import steps
from dualseg.cli.recipes import open_evaluation_data
from dualseg.config import load_recipe
from dualseg.core.errors import InputError
from dualseg.evaluation.gallery import draw_images
from dualseg.evaluation.latency import measure_latency
from dualseg.models.segmentation import SegmentationModel
from dualseg.training.records.run_folder import CONFIG_FILE
from dualseg.visual.compared_runs import ComparedRun, open_runs
from dualseg.visual.paired import paired_difference_over_images
from dualseg.visual.run_comparison import wanted_images, write_run_comparison

TOLERANCE = 0.005
"""By so much a redrawn image's mIoU may differ from the stored one: devices round differently."""


def compare_runs(
    folders: Sequence[Path],
    out: Path,
    *,
    kept_only: bool,
    latency: bool,
    device: torch.device,
) -> dict[str, Any]:
    """Writes the page.

    Args:
        folders: Of the runs; the first is what the others are compared with.
        out: The page.
        kept_only: Load no network and no data: show the pictures that the runs keep.
        latency: Measure every network's latency here and now.
        device: Where the networks compute; not that of their training, which may be elsewhere.

    Returns:
        What `--json` prints.

    Raises:
        InputError: The runs cannot be compared, or a file is damaged.
    """
    runs = open_runs(folders)
    if latency:
        runs = _with_latency(runs, device)
    with TemporaryDirectory() as scratch:
        notes: list[str] = []
        if not kept_only:
            runs, notes = _with_pictures(runs, Path(scratch), device)
        path = write_run_comparison(out, runs, notes=notes)
    return {
        "report": str(path),
        "runs": [_plain(run, runs[0]) for run in runs],
        "notes": notes,
    }


def _with_latency(runs: Sequence[ComparedRun], device: torch.device) -> list[ComparedRun]:
    size = load_recipe(runs[0].folder / CONFIG_FILE).data.crop_size
    if size is None:
        raise InputError(
            f"{runs[0].folder} does not say its crop size, so there is no size to measure latency "
            "at; leave --latency out"
        )
    measured = []
    with steps() as progress:
        for run in runs:
            progress(f"measuring the latency of {run.name} at {size[0]}x{size[1]}", 0, None)
            latency_ms = measure_latency(_load(run, device), size)
            measured.append(replace(run, latency_ms=latency_ms, latency_size=size))
    return measured


def _with_pictures(
    runs: Sequence[ComparedRun], scratch: Path, device: torch.device
) -> tuple[list[ComparedRun], list[str]]:
    """The first and the last run with predictions of the images shown, and these at native size;
    and what went wrong, in words: data or checkpoint may be gone, and the rest of the page is still
    worth having.
    """
    names = wanted_images(runs)
    if not names:
        return list(runs), []
    drawn = list(runs)
    notes = []
    for place in (0, len(runs) - 1):
        folder = scratch / str(place)
        folder.mkdir()
        try:
            drawn[place], doubt = _draw(runs[place], names, folder, device)
        except InputError as error:
            return list(runs), [f"Only pictures that the runs keep are shown: {error}."]
        notes += [doubt] if doubt else []
    return drawn, notes


def _draw(
    run: ComparedRun, names: Sequence[str], folder: Path, device: torch.device
) -> tuple[ComparedRun, str]:
    with steps() as progress:
        progress(f"predicting {len(names)} images with {run.name}", 0, None)
        model = _load(run, device)
        labels = model.facts.labels if model.facts else None
        dataset = open_evaluation_data(str(run.folder), None, None, labels)
        images = draw_images(folder, model, dataset, names)
    stored = dict(run.evaluation.per_image)
    changed = [
        image.name
        for image in images
        if image.miou is not None and abs(image.miou - (stored[image.name] or 0.0)) > TOLERANCE
    ]
    doubt = (
        f"{run.name}: the checkpoint or the data is no longer what was scored; other predictions "
        f"came out for {', '.join(changed)}."
    )
    return replace(run, drawn=images), doubt if changed else ""


def _load(run: ComparedRun, device: torch.device) -> SegmentationModel:
    model = load_model(run.folder / "checkpoints" / (run.evaluation.checkpoint or "best"))
    return model.to(device)


def _plain(run: ComparedRun, first: ComparedRun) -> dict[str, Any]:
    interval = run.evaluation.extra.interval
    difference = (
        None if run is first else paired_difference_over_images(run.evaluation, first.evaluation)
    )
    return {
        "name": run.name,
        "run": str(run.folder),
        "miou": run.evaluation.scores["miou"],
        "miou_interval": None if interval is None else [interval.low, interval.high],
        "difference": None
        if difference is None
        else {
            "value": difference.value,
            "low": difference.low,
            "high": difference.high,
            "measure": difference.measure,
            "num_images": difference.num_images,
        },
        "latency_ms": run.latency_ms,
        "latency_size": run.latency_size,
        "parameters": run.evaluation.parameters,
    }
