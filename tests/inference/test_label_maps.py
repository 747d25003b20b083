"""The fused pass against torch's resizing and argmax, pixel by pixel."""

import numpy as np
import pytest
import torch

from dualseg.inference import label_maps
from dualseg.inference.label_maps import label_map_of

SIZES = [
    ((20, 30), (40, 60)),  # the factor of a label decoder's use
    ((20, 30), (80, 120)),
    ((17, 23), (51, 71)),  # no whole factor
    ((30, 20), (21, 33)),  # smaller in one direction, larger in the other
    ((40, 60), (40, 60)),
    ((1, 1), (9, 7)),
    ((1, 9), (5, 18)),
    ((9, 6), (3, 2)),
]


@pytest.fixture
def always_fused(monkeypatch):
    pytest.importorskip("numba")
    monkeypatch.setattr(label_maps, "MIN_PIXELS", 0)


def expected(logits, size):
    resized = torch.nn.functional.interpolate(logits, size, mode="bilinear", align_corners=False)
    return resized[0].argmax(dim=0).to(torch.uint8).numpy()


@pytest.mark.parametrize(("small", "large"), SIZES)
@pytest.mark.parametrize("memory", [torch.contiguous_format, torch.channels_last])
def test_every_pixel_is_torchs(always_fused, small, large, memory):
    torch.manual_seed(0)
    noise = torch.randn(1, 7, *small)
    for logits in (noise, smooth(7, small)):
        found = label_map_of(logits.contiguous(memory_format=memory), large)
        assert np.array_equal(found, expected(logits, large))


def smooth(num_classes, size):
    """Large shapes, so that most cells have one winner."""
    coarse = torch.randn(1, num_classes, 3, 4)
    return torch.nn.functional.interpolate(coarse, size, mode="bicubic")


@pytest.mark.parametrize("memory", [torch.contiguous_format, torch.channels_last])
@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16])
@pytest.mark.parametrize("scale", [1.0, 1e-6, 1e4])  # 1e-6: float16's smallest numbers
def test_half_precision_is_read_as_it_is(always_fused, memory, dtype, scale):
    torch.manual_seed(0)
    logits = (scale * torch.randn(1, 5, 12, 16)).to(dtype).contiguous(memory_format=memory)

    assert np.array_equal(label_map_of(logits, (24, 32)), expected(logits.float(), (24, 32)))


def test_infinite_halves_win_and_lose(always_fused):
    logits = torch.full((1, 4, 6, 6), 65504.0, dtype=torch.float16)
    logits[0, 0] = -torch.inf
    logits[0, 2] = torch.inf

    assert (label_map_of(logits) == 2).all()


def test_the_first_of_equal_classes_wins(always_fused):
    assert label_map_of(torch.zeros(1, 4, 6, 6), (12, 12)).max() == 0


@pytest.mark.parametrize("memory", [torch.contiguous_format, torch.channels_last])
@pytest.mark.parametrize("dtype", [torch.float32, torch.float16, torch.bfloat16])
@pytest.mark.parametrize("where", [(0, 0, 0), (3, 2, 1), (1, 5, 5)])
def test_a_nan_is_found_wherever_it_is(always_fused, memory, dtype, where):
    logits = torch.zeros(1, 4, 6, 6, dtype=dtype)
    logits[0][where] = float("nan")

    with pytest.raises(FloatingPointError, match="NaN"):
        label_map_of(logits.contiguous(memory_format=memory), (12, 12))


def test_without_numba_the_result_is_the_same(monkeypatch):
    torch.manual_seed(0)
    logits = torch.randn(1, 5, 10, 14)
    monkeypatch.setattr(label_maps, "MIN_PIXELS", 0)
    monkeypatch.setattr(label_maps, "can_compile", lambda: False)

    assert np.array_equal(label_map_of(logits, (21, 27)), expected(logits, (21, 27)))


def test_more_classes_than_a_byte_holds_go_another_way(always_fused):
    logits = torch.zeros(1, 300, 2, 2)
    logits[0, 7] = 1

    assert (label_map_of(logits, (4, 4)) == 7).all()
