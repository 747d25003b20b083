"""How far features lie from the running statistics."""

import math

import numpy as np
import pytest
import torch
from torch import nn

from dualseg.core.geometry import normalize_images
from dualseg.core.image_spec import IMAGENET_MEAN, IMAGENET_STD
from dualseg.data.datasets.streets import Streets
from dualseg.inference.feature_shift import FeatureShift
from dualseg.models.catalog import create_model


def norm(mean: float, variance: float) -> nn.BatchNorm2d:
    layer = nn.BatchNorm2d(1, eps=0.0).eval()
    assert layer.running_mean is not None
    assert layer.running_var is not None
    layer.running_mean.fill_(mean)
    layer.running_var.fill_(variance)
    return layer


def features(mean: float, variance: float) -> torch.Tensor:
    """A 4 x 4 map with exactly this mean and variance."""
    half = torch.cat([torch.ones(8), -torch.ones(8)]) * math.sqrt(variance)
    return (half + mean).view(1, 1, 4, 4)


def shift_of(model: nn.Module, *inputs: torch.Tensor) -> float | None:
    with torch.no_grad(), FeatureShift(model) as shift:
        for images in inputs:
            model(images)
        return shift.take()


def test_features_as_in_training_have_none() -> None:
    assert shift_of(norm(3.0, 4.0), features(3.0, 4.0)) == pytest.approx(0.0, abs=1e-6)


def test_hand_worked_divergence_of_two_gaussians() -> None:
    # (variance ratio - log of it + squared distance in running deviations - 1) / 2
    found = shift_of(norm(1.0, 4.0), features(3.0, 8.0))
    assert found == pytest.approx(0.5 * (2 - math.log(2) + 1 - 1), rel=1e-5)


def test_layers_and_passes_are_averaged_and_taken_once() -> None:
    model = nn.Sequential(norm(0.0, 1.0), norm(0.0, 1.0))
    one, two = shift_of(model, features(2.0, 1.0)), shift_of(model, features(4.0, 1.0))
    assert (one, two) == pytest.approx((2.0, 8.0), rel=1e-4)
    with torch.no_grad(), FeatureShift(model) as shift:
        model(features(2.0, 1.0))
        model(features(4.0, 1.0))
        assert shift.take() == pytest.approx(5.0, rel=1e-4)
        assert shift.take() is None


def test_a_network_without_batch_norm_has_no_number() -> None:
    assert shift_of(nn.Conv2d(1, 1, 1), features(0.0, 1.0)) is None


def test_nothing_is_watched_afterwards() -> None:
    layer = norm(0.0, 1.0)
    with FeatureShift(layer) as shift:
        pass
    layer(features(1.0, 1.0))
    assert shift.take() is None


def test_noise_and_flat_images_lie_further_off_than_other_drawn_scenes() -> None:
    """Statistics of 32 drawn scenes, no training: even random filters know noise from streets."""
    torch.manual_seed(0)
    model = create_model("fcn", backbone="mobilenet_v2", num_classes=12, output_stride=32)
    for module in model.modules():
        if isinstance(module, nn.BatchNorm2d):
            module.momentum = None  # the plain mean over all batches
    known, other = Streets("train"), Streets("val")
    with torch.no_grad():
        for first in range(0, 32, 8):
            model.train()(prepared([known.image(index) for index in range(first, first + 8)]))
    model.eval()

    def shifts(images: list[np.ndarray]) -> list[float]:
        found = [shift_of(model, prepared([image])) for image in images]
        return [shift for shift in found if shift is not None]

    scenes = shifts([other.image(index) for index in range(10)])
    random = np.random.default_rng(0)
    noise = [random.integers(0, 256, (192, 256, 3), dtype=np.uint8) for _ in range(3)]
    flat = [np.full((192, 256, 3), value, np.uint8) for value in (0, 128, 255)]
    assert len(scenes) == 10
    assert min(shifts(noise)) > max(scenes)
    assert min(shifts(flat)) > max(scenes)


def prepared(images: list[np.ndarray]) -> torch.Tensor:
    batch = torch.from_numpy(np.stack(images)).permute(0, 3, 1, 2)
    return normalize_images(batch, IMAGENET_MEAN, IMAGENET_STD)[..., ::2, ::2]
