"""The mirrored image is asked too."""

import pytest
import torch
from torch import Tensor

from dualseg.core.errors import InputError
from dualseg.inference.flip import flipped

IMAGES = torch.zeros(1, 3, 1, 2, dtype=torch.uint8)


def left_differs(images: Tensor) -> Tensor:
    """Two classes; whatever the image, the left pixel has logits (2, 0), the right one (0, 0)."""
    return torch.tensor([[[[2.0, 0.0]], [[0.0, 0.0]]]])


def test_probabilities_of_both_answers_are_averaged() -> None:
    # The mirrored answer, mirrored back, has (0, 0) on the left and (2, 0) on the right.
    sure = torch.tensor(2.0).sigmoid()
    expected = (sure + 0.5) / 2
    probs = flipped(left_differs)(IMAGES).softmax(dim=1)
    assert torch.allclose(probs[0, 0], expected.expand(1, 2))
    assert torch.allclose(probs.sum(dim=1), torch.ones(1, 1, 2))


def test_logits_can_be_averaged_instead() -> None:
    logits = flipped(left_differs, average="logits")(IMAGES)
    assert logits[0].flatten(1).tolist() == [[1.0, 1.0], [0.0, 0.0]]


def test_the_second_answer_is_about_the_mirrored_image() -> None:
    asked = []

    def remember(images: Tensor) -> Tensor:
        asked.append(images)
        return images.float()

    images = torch.arange(12, dtype=torch.uint8).view(1, 3, 2, 2)
    answer = flipped(remember, average="logits")(images)
    assert torch.equal(asked[0], images)
    assert torch.equal(asked[1], images.flip(-1))
    assert torch.equal(answer, images.float())  # mirrored back, both answers agree


def test_the_answer_to_a_mirrored_image_is_mirrored() -> None:
    torch.manual_seed(0)
    conv = torch.nn.Conv2d(3, 4, 3, padding=1)
    ask = flipped(lambda images: conv(images.float() / 255))
    images = torch.randint(256, (1, 3, 6, 7), dtype=torch.uint8)
    assert torch.allclose(ask(images.flip(-1)), ask(images).flip(-1), atol=1e-6)


def test_bf16_answers_are_averaged_in_fp32() -> None:
    assert flipped(lambda images: left_differs(images).bfloat16())(IMAGES).dtype == torch.float32


def test_a_class_without_any_probability_stays_finite() -> None:
    def certain(images: Tensor) -> Tensor:
        return torch.tensor([[[[1000.0, 1000.0]], [[-1000.0, -1000.0]]]])

    assert flipped(certain)(IMAGES).isfinite().all()


def test_unknown_average_is_refused() -> None:
    with pytest.raises(InputError, match="'mean' is unknown; allowed: logits, softmax"):
        flipped(left_differs, average="mean")  # type: ignore[arg-type]
