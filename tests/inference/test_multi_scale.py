"""The image is asked about in several sizes."""

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor

from dualseg.core.errors import InputError
from dualseg.inference.multi_scale import multi_scale

IMAGES = torch.randint(
    256, (1, 3, 8, 12), dtype=torch.uint8, generator=torch.Generator().manual_seed(0)
)


def by_width(images: Tensor) -> Tensor:
    """Logits (width, 12) everywhere, so that each size answers differently."""
    height, width = images.shape[-2:]
    return torch.tensor([float(width), 12.0]).view(1, 2, 1, 1).expand(1, 2, height, width)


def test_probabilities_of_all_scales_are_averaged() -> None:
    probs = multi_scale(by_width, (0.5, 1.0, 1.25))(IMAGES).softmax(dim=1)
    # Logit differences 6 - 12, 12 - 12 and 15 - 12.
    expected = torch.tensor([-6.0, 0.0, 3.0]).sigmoid().mean()
    assert probs.shape == (1, 2, 8, 12)
    assert torch.allclose(probs[:, 0], expected.expand(1, 8, 12))


def test_maximum_takes_each_classs_highest_score() -> None:
    logits = multi_scale(by_width, (0.5, 1.0, 1.25), fusion="max")(IMAGES)
    assert logits[0, :, 0, 0].tolist() == [15.0, 12.0]


def test_scale_one_asks_about_the_very_image() -> None:
    asked = []

    def remember(images: Tensor) -> Tensor:
        asked.append(images)
        return images.float()

    multi_scale(remember, (1.0, 0.5))(IMAGES)
    assert torch.equal(asked[0], IMAGES)
    shrunk = F.interpolate(
        IMAGES.float(), (4, 6), mode="bilinear", align_corners=False, antialias=True
    )
    assert torch.equal(asked[1], shrunk)


def test_logits_are_resized_before_the_softmax() -> None:
    def step(images: Tensor) -> Tensor:
        """Class 1 in the right half, very sure."""
        ramp = torch.zeros(1, 1, *images.shape[-2:])
        ramp[..., images.shape[-1] // 2 :] = 20.0
        return torch.cat([10 - ramp / 2, ramp / 2], dim=1)

    logits = step(torch.empty(1, 3, 4, 6))
    expected = F.interpolate(logits, (8, 12), mode="bilinear", align_corners=False).softmax(dim=1)
    assert torch.allclose(multi_scale(step, (0.5,))(IMAGES).softmax(dim=1), expected, atol=1e-6)


def test_one_scale_alone_keeps_the_classes() -> None:
    probs = multi_scale(by_width, (1.0,))(IMAGES).softmax(dim=1)
    assert torch.allclose(probs, by_width(IMAGES).softmax(dim=1), atol=1e-6)


@pytest.mark.parametrize(
    ("scales", "message"),
    [
        ((), "no scale is given"),
        ((0.0, 1.0), "scales 0, 1: each must lie above 0"),
        ((float("nan"),), "each must lie above 0"),
        ((9.0,), "at most 8"),
        ((1.0, 1.0), "a scale stands twice"),
    ],
)
def test_impossible_scales_are_refused(scales: tuple[float, ...], message: str) -> None:
    with pytest.raises(InputError, match=message):
        multi_scale(by_width, scales)


def test_unknown_fusion_is_refused() -> None:
    with pytest.raises(InputError, match="fusion 'sum' is unknown; allowed: max, mean"):
        multi_scale(by_width, (1.0,), fusion="sum")  # type: ignore[arg-type]
