"""The fully connected CRF around another strategy."""

import numpy as np
import torch
from torch import Tensor

from dualseg.inference.crf.mean_field import dense_crf
from dualseg.inference.crf.settings import CrfSettings
from dualseg.inference.crf_step import refined

SETTINGS = CrfSettings(iterations=2, bi_xy_std=6.0)


def images(count: int = 1) -> Tensor:
    """Left half dark, right half bright, a little noise."""
    generator = torch.Generator().manual_seed(0)
    pixels = torch.randint(0, 20, (count, 3, 12, 16), dtype=torch.uint8, generator=generator)
    pixels[..., 8:] += 200
    return pixels


def unsure(pictures: Tensor) -> Tensor:
    """Right about both halves, but for a patch it calls the other class."""
    logits = torch.zeros(len(pictures), 2, *pictures.shape[-2:])
    logits[:, 0, :, :8] = 1.0
    logits[:, 1, :, 8:] = 1.0
    logits[:, 1, 5:7, 3:5] = 2.0
    return logits


def test_the_answer_is_the_crfs_on_probabilities_and_image() -> None:
    pictures = images()
    probs = refined(unsure, SETTINGS)(pictures).softmax(dim=1)[0].numpy()
    pixels = np.ascontiguousarray(pictures[0].permute(1, 2, 0).numpy())
    expected = dense_crf(unsure(pictures)[0].softmax(dim=0).numpy(), pixels, SETTINGS)
    assert np.allclose(probs, expected, atol=1e-5)


def test_it_sees_the_image() -> None:
    before = unsure(images()).argmax(dim=1)
    after = refined(unsure, SETTINGS)(images()).argmax(dim=1)
    assert before[0, 5, 3] == 1
    assert after[0, 5, 3] == 0  # a dark pixel among dark ones
    assert bool((after[..., :8] == 0).all())
    assert bool((after[..., 8:] == 1).all())


def test_every_image_of_a_batch_is_refined_by_itself() -> None:
    pictures = torch.cat([images(), images().flip(-1)])
    together = refined(unsure, SETTINGS)(pictures)
    alone = torch.cat([refined(unsure, SETTINGS)(picture[None]) for picture in pictures])
    assert torch.allclose(together, alone, atol=1e-5)
