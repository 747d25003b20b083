"""A run folder as training and evaluation leave it, with tiny pictures."""

import json
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from dualseg.metrics.scores import scores_from_confusion

PALETTE = [[200, 30, 30], [30, 200, 30], [30, 30, 200]]


def save_label_map(path: Path, label_map: np.ndarray) -> None:
    image = Image.fromarray(label_map)
    image.putpalette([channel for color in PALETTE for channel in color])
    image.save(path)


def write_history(run: Path) -> None:
    lines = []
    for step in range(10, 60, 10):
        losses = {"loss": 3 / step, "cross_entropy": 2 / step, "image": 1 / step}
        lines.append({"step": step, "epoch": step / 20, "split": "train", "lr": 0.01, **losses})
        lines.append({"step": step, "epoch": step / 20, "split": "val", "miou": step / 100})
    (run / "metrics.jsonl").write_text("".join(json.dumps(line) + "\n" for line in lines))


def extra_scores(class_names: list[str]) -> dict[str, Any]:
    """What the cheap scores put into the file."""
    size = {"num_objects": 7, "num_pixels": 70, "recall": 0.25, "found": 0.125}
    per_class = dict(zip(class_names, (0.375, 0.125, None), strict=True))
    half_sure = {"from": 0.0, "to": 0.5, "pixels": 30, "accuracy": 0.2, "confidence": 0.4}
    sure = {"from": 0.5, "to": 1.0, "pixels": 70, "accuracy": 0.9, "confidence": 0.8}
    near = {"from": 0, "to": 2, "pixels": 30, "pixel_accuracy": 0.625, "miou": 0.34}
    far = {"from": 2, "to": 9, "pixels": 90, "pixel_accuracy": 0.875, "miou": 0.75}
    nothing = {"from": 9, "to": None, "pixels": 0, "pixel_accuracy": None, "miou": None}
    return {
        "miou_interval": {"low": 0.401, "high": 0.602, "level": 0.95},
        "calibration": {"ece": 0.13, "bins": [half_sure, sure]},
        "object_sizes": {
            "limits": [1024, 9216],
            "small": size,
            "medium": {**size, "num_objects": 0, "recall": None, "found": None},
            "large": size,
        },
        "boundary_iou": {"mean": 0.25, "per_class": per_class, "ratio": 0.02},
        "trimap": {"bands": [near, far, nothing], "within": []},
    }


def write_evaluation(
    run: Path,
    *,
    class_names: list[str],
    wrong: int,
    mious: Sequence[float | None],
    extra: bool,
    resampled: Sequence[float] | None,
) -> None:
    """Four images of 32 x 48 in three stripes; in each, `wrong` rows of pixels are wrong."""
    gallery = run / "evaluation" / "gallery"
    gallery.mkdir(parents=True)
    truth = np.repeat(np.array([0, 1, 1, 255], dtype=np.uint8), 12)[None].repeat(32, axis=0)
    preds = np.where(truth == 255, 0, truth).astype(np.uint8)
    preds[:wrong] = 0
    items = []
    for index, roles in enumerate((["best", "sample"], ["worst"], ["sample"], ["sample"])):
        files = {part: f"{index:06d}_{part}.png" for part in ("input", "truth", "prediction")}
        seen = np.random.default_rng(index).integers(0, 256, (16, 24, 3), dtype=np.uint8)
        Image.fromarray(seen).save(gallery / files["input"])
        save_label_map(gallery / files["truth"], truth)
        save_label_map(gallery / files["prediction"], preds)
        items.append({"name": f"image_{index}", **files, "roles": roles, "miou": mious[index]})
    confusion = np.array([[384, 0, 0], [24 * wrong, 24 * (32 - wrong), 0], [0, 0, 0]])
    scores = scores_from_confusion(confusion, num_ignored=384)
    protocol = {"name": "whole", "resolution": "native", "input_scale": 0.5, "flip": False}
    content = {
        "miou": scores.miou,
        "pixel_accuracy": scores.pixel_accuracy,
        "class_accuracy": scores.class_accuracy,
        "fwiou": scores.fwiou,
        "iou_per_class": dict(zip(class_names, scores.iou_per_class, strict=True)),
        "num_images": 4,
        "ignored_share": scores.ignored_share,
        "protocol": {**protocol, "scales": [1.0], "precision": "bf16"},
        "seconds": 1.5,
        "class_names": class_names,
        "palette": PALETTE,
        "ignore_index": 255,
        "pixels_per_class": list(scores.pixels_per_class),
        "confusion": confusion.tolist(),
        "split": "val",
        "parameters": 1_230_000,
        "gallery": items,
        "per_image": [[f"image_{index}", miou] for index, miou in enumerate(mious)],
    }
    if extra:
        content |= extra_scores(class_names)
    if resampled is not None:
        settings = {"seed": 0, "resamples": len(resampled)}
        content["resampled_miou"] = {**settings, "mious": list(resampled)}
    (run / "evaluation" / "evaluation.json").write_text(json.dumps(content))


@pytest.fixture
def make_run(tmp_path: Path) -> Callable[..., Path]:
    """`make_run(name, evaluated=True, trained=True, ...)` -> run folder; `mious` of each image."""

    def make(
        name: str = "run",
        *,
        evaluated: bool = True,
        trained: bool = True,
        class_names: tuple[str, ...] = ("road", "pole", "unseen"),
        wrong: int = 8,
        mious: Sequence[float | None] = (0.5, 0.5, 0.5, 0.5),
        extra: bool = False,
        resampled: Sequence[float] | None = None,
    ) -> Path:
        run = tmp_path / name
        run.mkdir(parents=True)
        (run / "config.yaml").write_text("seed: 3\nmodel: {name: fcn, backbone: resnet18}\n")
        if trained:
            write_history(run)
        if evaluated:
            write_evaluation(
                run,
                class_names=list(class_names),
                wrong=wrong,
                mious=mious,
                extra=extra,
                resampled=resampled,
            )
        return run

    return make
