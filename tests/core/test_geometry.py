import numpy as np
import pytest
import torch

from dualseg.core.errors import InputError
from dualseg.core.geometry import (
    normalize_images,
    resize_logits,
    scaled_size,
    shrink_by_majority,
    shrink_images,
    shrink_label_maps,
)


def test_sizes_round_half_up_and_stay_above_zero():
    assert scaled_size((361, 480), 0.5) == (181, 240)
    assert scaled_size((1, 1), 0.5) == (1, 1)


def test_halving_weighs_neighbours_1_3_3_1():
    # Antialiased bilinear at factor two: a triangle of width four.
    row = torch.tensor([0.0, 0, 0, 8, 0, 0, 0, 0]).view(1, 1, 1, 8)
    assert shrink_images(row.expand(1, 1, 8, 8), 0.5)[0, 0, 1].tolist() == [0, 3, 1, 0]


def test_full_scale_is_the_same_tensor():
    images = torch.randn(1, 3, 5, 7)
    assert shrink_images(images, 1.0) is images
    assert resize_logits(images, (5, 7)) is images


def test_a_shrunk_label_holds_only_ids_that_were_there():
    labels = torch.tensor([[[0, 255, 7, 7]] * 4])
    shrunk = shrink_label_maps(labels, (2, 2))
    assert shrunk.dtype == labels.dtype
    assert set(shrunk.flatten().tolist()) <= {0, 255, 7}


def test_a_label_by_majority_by_hand():
    labels = torch.tensor([[[1, 1, 2, 3, 255, 255], [1, 0, 3, 2, 255, 4]]])
    # Most are 1; two 2 and two 3, of which the lower right pixel is 2; all but one are ignored.
    assert shrink_by_majority(labels, (1, 3), 255).tolist() == [[[1, 2, 4]]]
    assert shrink_by_majority(labels[:, :1, 4:], (1, 1), 255).tolist() == [[[255]]]


def test_a_label_by_majority_is_centred():
    random = np.random.default_rng(0)
    coarse = torch.from_numpy(random.integers(0, 5, (2, 6, 8)))
    fine = coarse.repeat_interleave(3, 1).repeat_interleave(3, 2)
    assert torch.equal(shrink_by_majority(fine, (6, 8), 255), coarse)
    turned = shrink_by_majority(fine.flip(2), (6, 8), 255)
    assert torch.equal(turned.flip(2), coarse)


def test_a_label_by_majority_needs_whole_parts():
    with pytest.raises(InputError, match="labels of 5x4 cannot be shrunk to 2x2 by majority"):
        shrink_by_majority(torch.zeros(1, 5, 4), (2, 2), 255)


def test_normalisation_of_one_pixel_by_hand():
    image = torch.tensor([0, 51, 255], dtype=torch.uint8).view(1, 3, 1, 1)
    normalized = normalize_images(image, (0.0, 0.1, 0.5), (1.0, 0.1, 0.5)).flatten()
    torch.testing.assert_close(normalized, torch.tensor([0.0, 1.0, 1.0]))
