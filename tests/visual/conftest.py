"""A run folder as training and evaluation leave it, with tiny pictures."""

import json
from collections.abc import Callable
from pathlib import Path

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


def write_evaluation(run: Path, *, class_names: list[str], wrong: int) -> None:
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
        items.append({"name": f"image_{index}", **files, "roles": roles, "miou": 0.5})
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
    }
    (run / "evaluation" / "evaluation.json").write_text(json.dumps(content))


@pytest.fixture
def make_run(tmp_path: Path) -> Callable[..., Path]:
    """`make_run(name, evaluated=True, trained=True, class_names=[...], wrong=8)` -> run folder."""

    def make(
        name: str = "run",
        *,
        evaluated: bool = True,
        trained: bool = True,
        class_names: tuple[str, ...] = ("road", "pole", "unseen"),
        wrong: int = 8,
    ) -> Path:
        run = tmp_path / name
        run.mkdir(parents=True)
        (run / "config.yaml").write_text("seed: 3\nmodel: {name: fcn, backbone: resnet18}\n")
        if trained:
            write_history(run)
        if evaluated:
            write_evaluation(run, class_names=list(class_names), wrong=wrong)
        return run

    return make
