"""Depthwise convolutions that bfloat16 slows down are computed in fp32 while training."""

from copy import deepcopy

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from dualseg.config import check_recipe
from dualseg.core.facts import default_labels
from dualseg.data.loading.loaders import RawBatch
from dualseg.models.catalog import create_model
from dualseg.training import depthwise
from dualseg.training.depthwise import FastDepthwise
from dualseg.training.objectives.objective import create_objective
from dualseg.training.optimization.optimizers import create_optimizer
from dualseg.training.step import TrainingStep

SLOW = [
    {"kernel_size": 5, "padding": 2},
    {"kernel_size": 3, "stride": 2},
    {"kernel_size": 3, "dilation": 2},
    {"kernel_size": 3, "stride": (1, 2)},
]
FAST = [
    {"kernel_size": 3},
    {"kernel_size": 3, "dilation": 8, "padding": 8},  # reaches over half of the map
    {"kernel_size": 5, "groups": 2},  # in groups, but not depthwise
    {"kernel_size": 5, "groups": 1},
]


def layer(**options) -> nn.Conv2d:
    torch.manual_seed(0)
    return nn.Conv2d(4, 4, **{"groups": 4, "bias": True, **options})


def images() -> Tensor:
    torch.manual_seed(1)
    return torch.randn(2, 4, 16, 12)


def answered(
    convolution: nn.Conv2d, *, within: bool, dtype: torch.dtype = torch.bfloat16
) -> tuple[Tensor, Tensor]:
    """Output, and the gradient of the weights."""
    twin = deepcopy(convolution)
    with FastDepthwise() if within else torch.autocast("cpu", enabled=False):
        with torch.autocast("cpu", dtype):
            output = twin(images())
        output.float().square().sum().backward()
    gradient = twin.weight.grad
    assert gradient is not None
    return output, gradient


@pytest.mark.parametrize("options", SLOW)
def test_what_is_slow_is_computed_in_fp32_and_answers_in_bfloat16(options):
    convolution = layer(**options)
    output, gradient = answered(convolution, within=True)

    exact = convolution(images())
    exact.to(torch.bfloat16).float().square().sum().backward()

    assert output.dtype == torch.bfloat16
    assert torch.equal(output, exact.to(torch.bfloat16))
    assert torch.equal(gradient, convolution.weight.grad)


@pytest.mark.parametrize("options", FAST)
def test_what_is_fast_is_left_alone(options):
    for ours, theirs in zip(
        answered(layer(**options), within=True),
        answered(layer(**options), within=False),
        strict=True,
    ):
        assert torch.equal(ours, theirs)


def test_bfloat16_itself_would_answer_otherwise():
    ours, theirs = (answered(layer(**SLOW[0]), within=within)[1] for within in (True, False))

    assert not torch.equal(ours, theirs)


def counted(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    calls = []
    in_fp32 = depthwise._in_fp32

    def count(*args, **kwargs):
        calls.append(1)
        return in_fp32(*args, **kwargs)

    monkeypatch.setattr(depthwise, "_in_fp32", count)
    return calls


def test_a_frozen_layer_passes_its_gradient_on_in_fp32(monkeypatch):
    calls = counted(monkeypatch)
    frozen = layer(**SLOW[0]).requires_grad_(False)
    with FastDepthwise(), torch.autocast("cpu", torch.bfloat16):
        frozen(images().requires_grad_())
    assert len(calls) == 1


def test_without_autocast_without_gradients_and_in_fp16_nothing_changes(monkeypatch):
    calls = counted(monkeypatch)
    convolution = layer(**SLOW[0])
    with FastDepthwise():
        convolution(images())
        with torch.autocast("cpu", torch.float16):
            convolution(images())
        with torch.autocast("cpu", torch.bfloat16):
            F.conv2d(images(), convolution.weight.detach(), None, groups=4)
            assert not calls
            convolution(images())
    assert len(calls) == 1


@pytest.mark.parametrize(
    ("settings", "is_used"),
    [
        ({}, True),
        ({"checkpoint_activations": True}, False),
        ({"compile": True}, False),
        ({"precision": "fp32"}, False),
    ],
)
def test_a_training_step_uses_it_where_it_can(monkeypatch, settings, is_used):
    calls = counted(monkeypatch)
    recipe = check_recipe(
        {
            "model": {"name": "fcn", "backbone": "mobilenet_v2"},
            "training": {"max_steps": 1, "precision": "bf16", **settings},
        },
        origin="test",
    )
    model = create_model("fcn", backbone="mobilenet_v2", num_classes=2)
    step = TrainingStep(
        model,
        create_objective(recipe, default_labels(2)),
        create_optimizer(model, recipe.training),
        lr_factor=lambda step: 1.0,
        data=recipe.data,
        training=recipe.training,
        device=torch.device("cpu"),
        seed=0,
    )
    images = torch.zeros(2, 3, 64, 64, dtype=torch.uint8)
    step(RawBatch(images, torch.zeros(2, 64, 64, dtype=torch.uint8), ("a", "b")), 0)
    assert bool(calls) == is_used
