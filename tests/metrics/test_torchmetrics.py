"""The scores of another library on random maps and on drawn scenes."""

from collections.abc import Callable
from typing import TypeAlias

import numpy as np
import pytest
import torch
from answers import names, random_answer

from dualseg.data.datasets.streets import Streets
from dualseg.metrics.calibration import Calibration
from dualseg.metrics.confusion import confusion_matrix
from dualseg.metrics.scores import scores_from_confusion

torchmetrics = pytest.importorskip("torchmetrics")
classification = pytest.importorskip("torchmetrics.classification")

Maps: TypeAlias = list[tuple[np.ndarray, np.ndarray]]


def drawn_maps() -> Maps:
    """Label maps of drawn streets against the same ones moved by some pixels."""
    dataset = Streets("val")
    maps = [dataset.label_map(index) for index in range(3)]
    return [(target, _without_ignored(np.roll(target, 5, axis=1))) for target in maps]


def _without_ignored(label_map: np.ndarray) -> np.ndarray:
    return np.where(label_map == 255, 0, label_map).astype(np.uint8)


def random_maps() -> Maps:
    answers = [random_answer(seed, 11) for seed in range(4)]
    return [(image.target, image.preds) for image in answers]


@pytest.mark.parametrize("draw", [random_maps, drawn_maps])
def test_scores_equal_torchmetrics(draw: Callable[[], Maps]) -> None:
    maps = draw()
    num_classes = 1 + max(int(m[m != 255].max()) for pair in maps for m in pair)
    confusion = sum(confusion_matrix(target, preds, num_classes) for target, preds in maps)
    scores = scores_from_confusion(np.asarray(confusion))
    common = {"num_classes": num_classes, "ignore_index": 255}
    theirs = {
        "miou": classification.MulticlassJaccardIndex(**common, average="macro"),
        "iou": classification.MulticlassJaccardIndex(**common, average="none"),
        "accuracy": classification.MulticlassAccuracy(**common, average="micro"),
        "counts": classification.MulticlassConfusionMatrix(**common),
    }
    for target, preds in maps:
        for metric in theirs.values():
            metric.update(
                torch.from_numpy(preds.astype(np.int64)), torch.from_numpy(target.astype(np.int64))
            )
    assert np.array_equal(confusion, theirs["counts"].compute().numpy())
    assert scores.pixel_accuracy == pytest.approx(float(theirs["accuracy"].compute()))
    ours = [0.0 if iou is None else iou for iou in scores.iou_per_class]
    assert ours == pytest.approx(theirs["iou"].compute().tolist(), abs=1e-6)
    assert scores.miou == pytest.approx(float(theirs["miou"].compute()), abs=1e-6)


def test_calibration_error_equals_torchmetrics() -> None:
    ours = Calibration()
    theirs = classification.MulticlassCalibrationError(num_classes=5, n_bins=15, ignore_index=255)
    for seed in range(3):
        image = random_answer(seed, 5)
        ours.add(image)
        theirs.update(
            image.logits.softmax(1), torch.from_numpy(image.target.astype(np.int64))[None]
        )
    result = ours.result(names(5))["calibration"]["ece"]
    assert result == pytest.approx(float(theirs.compute()), abs=1e-5)
