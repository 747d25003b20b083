"""DeepLab v2 of kazuto1011/deeplab-pytorch, against answers of its own code."""

import pytest

from dualseg.checkpoints.importers import kazuto1011
from reference.originals import (
    Original,
    assert_other_logits,
    assert_recognised,
    assert_same_logits,
)

LARGE = Original(kazuto1011, "deeplabv2_resnet101", is_bgr=True)
SMALL = Original(kazuto1011, "deeplabv2s_resnet101", is_bgr=True)


@pytest.mark.parametrize("original", [LARGE, SMALL], ids=lambda original: original.arch)
def test_maximum_and_single_scales_are_those_of_the_original(original: Original):
    assert_same_logits(original)


def test_a_file_is_recognised_as_the_one_with_large_rates():
    assert_recognised(LARGE)


@pytest.mark.parametrize(
    "changes",
    [
        {"backbone_options": {"ceil_pool": True}},
        {"backbone_options": {"stride_on": "1x1"}},
        {"atrous_rates": [6, 12, 18, 23]},
    ],
    ids=str,
)
def test_same_tensors_in_another_network_give_other_logits(changes: dict):
    assert_other_logits(LARGE, **changes)


def test_images_are_255_times_the_value_minus_a_mean_and_read_red_first():
    translation = LARGE.translate()
    red = (0.5 - translation.mean[0]) / translation.std[0]
    assert red == pytest.approx(0.5 * 255 - 122.675)
    assert_other_logits(LARGE._replace(is_bgr=False))
