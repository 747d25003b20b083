"""Windows that slide over an image."""

import pytest
import torch
from torch import Tensor

from dualseg.core.errors import InputError
from dualseg.inference.slide import slide, starts

MEAN = (0.5, 0.25, 0.1)


def random_images(*size: int) -> Tensor:
    return torch.randint(256, size, dtype=torch.uint8, generator=torch.Generator().manual_seed(0))


def local(images: Tensor) -> Tensor:
    """Looks at one pixel alone, so that every window says the same of it."""
    return images.float() / 16


@pytest.mark.parametrize("average", ["softmax", "logits"])
@pytest.mark.parametrize(
    ("size", "window", "stride"),
    [((9, 13), (4, 5), (3, 2)), ((8, 8), (4, 4), (4, 4)), ((5, 20), (5, 6), (1, 6))],
)
def test_windows_that_agree_give_the_whole_images_answer(
    average: str, size: tuple[int, int], window: tuple[int, int], stride: tuple[int, int]
) -> None:
    images = random_images(2, 3, *size)
    ask = slide(local, window=window, stride=stride, mean=MEAN, average=average)  # type: ignore[arg-type]
    assert torch.allclose(ask(images).softmax(1), local(images).softmax(1), atol=1e-5)


def test_every_window_has_the_size_and_the_last_one_ends_with_the_image() -> None:
    asked = []

    def remember(images: Tensor) -> Tensor:
        asked.append(images)
        return local(images)

    images = random_images(1, 3, 4, 11)
    slide(remember, window=(4, 5), stride=(3, 4), mean=MEAN)(images)
    assert starts(11, 5, 4) == [0, 4, 6]
    assert all(
        torch.equal(seen, images[..., left : left + 5])
        for seen, left in zip(asked, (0, 4, 6), strict=True)
    )


@pytest.mark.parametrize(
    ("length", "window", "stride", "expected"),
    [(8, 8, 3, [0]), (9, 8, 3, [0, 1]), (8, 4, 4, [0, 4]), (10, 4, 3, [0, 3, 6])],
)
def test_starts_cover_the_side_without_a_window_too_many(
    length: int, window: int, stride: int, expected: list[int]
) -> None:
    assert starts(length, window, stride) == expected


def numbered() -> tuple[list[Tensor], object]:
    """An answer for each window in turn: class 0 has logit 0, then 2."""
    given: list[Tensor] = []

    def ask(images: Tensor) -> Tensor:
        logits = torch.zeros(1, 2, *images.shape[-2:])
        logits[:, 0] = 2.0 * len(given)
        given.append(logits)
        return logits

    return given, ask


def test_overlaps_are_averaged_by_probability_or_by_logit() -> None:
    images = random_images(1, 3, 1, 3)  # windows 0..1 and 1..2
    _, ask = numbered()
    probs = slide(ask, window=(1, 2), stride=(1, 1), mean=MEAN)(images).softmax(1)[0, 0, 0]  # type: ignore[arg-type]
    sure = torch.tensor(2.0).sigmoid()
    assert torch.allclose(probs, torch.stack([torch.tensor(0.5), (0.5 + sure) / 2, sure]))
    _, ask = numbered()
    logits = slide(ask, window=(1, 2), stride=(1, 1), mean=MEAN, average="logits")(images)  # type: ignore[arg-type]
    assert logits[0, 0, 0].tolist() == [0.0, 1.0, 2.0]


def test_small_images_are_filled_up_with_the_mean_colour_and_cut_again() -> None:
    asked = []

    def remember(images: Tensor) -> Tensor:
        asked.append(images)
        return local(images)

    images = random_images(1, 3, 3, 9)
    answer = slide(remember, window=(5, 6), stride=(5, 6), mean=MEAN)(images)
    assert answer.shape == (1, 3, 3, 9)
    assert torch.equal(asked[0][..., :3, :], images[..., :6])
    assert asked[0][0, :, 4, 0].tolist() == [128, 64, 26]  # the mean times 255, rounded
    assert torch.allclose(answer.softmax(1), local(images).softmax(1), atol=1e-5)


def test_stride_beyond_the_window_is_refused() -> None:
    with pytest.raises(InputError, match="window 4x4, stride 4x5: the stride is larger"):
        slide(local, window=(4, 4), stride=(4, 5), mean=MEAN)


def test_empty_window_is_refused() -> None:
    with pytest.raises(InputError, match="at least 1"):
        slide(local, window=(0, 4), stride=(1, 1), mean=MEAN)
