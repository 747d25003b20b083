"""What happens between an image and its full-size logits."""

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from dualseg.core.errors import InputError
from dualseg.core.facts import ModelFacts, default_labels
from dualseg.core.geometry import normalize_images, shrink_images
from dualseg.core.outputs import SegmentationOutput
from dualseg.inference.strategies import find_facts, whole


class Recorder(nn.Module):
    """Remembers its input and answers with it, `factor` times as large."""

    def __init__(self, factor: int = 1):
        super().__init__()
        self.factor = factor
        self.conv = nn.Conv2d(3, 3, 1)
        self.seen = torch.empty(0)
        self.conv_type = torch.float64

    def forward(self, images: Tensor) -> SegmentationOutput:
        self.seen = images
        self.conv_type = self.conv(images).dtype
        return SegmentationOutput(F.interpolate(images, scale_factor=float(self.factor)))


def facts(input_scale: float = 1.0) -> ModelFacts:
    return ModelFacts({}, default_labels(3), input_scale=input_scale)


def random_images(*size: int) -> Tensor:
    return torch.randint(256, size, dtype=torch.uint8, generator=torch.Generator().manual_seed(0))


def test_network_sees_the_normalised_shrunk_image() -> None:
    model, images = Recorder(), random_images(2, 3, 8, 12)
    whole(model, facts(input_scale=0.5))(images)
    normalized = normalize_images(images, facts().mean, facts().std)
    assert torch.equal(model.seen, shrink_images(normalized, 0.5))
    assert model.seen.shape == (2, 3, 4, 6)


@pytest.mark.parametrize("factor", [1, 2])
@pytest.mark.parametrize("size", [(8, 12), (7, 13), (1, 1)])
def test_logits_come_at_the_size_of_the_image(factor: int, size: tuple[int, int]) -> None:
    logits = whole(Recorder(factor), facts(input_scale=0.5))(random_images(1, 3, *size))
    assert logits.shape == (1, 3, *size)
    assert logits.dtype == torch.float32


def test_logits_of_the_right_size_are_not_touched() -> None:
    images = random_images(1, 3, 6, 8)
    expected = normalize_images(images, facts().mean, facts().std)
    assert torch.equal(whole(Recorder(), facts())(images), expected)


def test_bf16_runs_the_network_under_autocast_and_answers_in_fp32() -> None:
    model = Recorder()
    logits = whole(model, facts(), precision="bf16")(random_images(1, 3, 4, 4))
    assert model.conv_type == torch.bfloat16
    assert logits.dtype == torch.float32
    whole(model, facts())(random_images(1, 3, 4, 4))
    assert model.conv_type == torch.float32


def test_no_graph_is_kept() -> None:
    assert not whole(Recorder(), facts())(random_images(1, 3, 4, 4)).requires_grad


def test_unknown_precision_is_refused() -> None:
    with pytest.raises(InputError, match="'fp8' is unknown; allowed are fp32 and bf16"):
        whole(Recorder(), facts(), precision="fp8")  # type: ignore[arg-type]


def test_facts_given_win_over_the_networks_own() -> None:
    model = Recorder()
    with pytest.raises(InputError, match="load_model"):
        find_facts(model, None)
    model.facts = facts(0.5)  # type: ignore[assignment]
    assert find_facts(model, None).input_scale == 0.5
    assert find_facts(model, facts(0.25)).input_scale == 0.25
