"""The golden files' own machinery: deterministic weights, a round trip, and differences found."""

from pathlib import Path

import pytest
import torch
from torch import nn

from reference.golden import compare, load_golden, save_golden
from reference.random_weights import random_image, random_tensors, randomize

SHAPES = {"conv.weight": (4, 3, 3, 3), "bn.weight": (4,), "bn.num_batches_tracked": ()}
LOGITS = torch.randn(1, 5, 33, 40, generator=torch.Generator().manual_seed(1))


def test_a_tensor_depends_on_its_name_and_not_on_its_neighbours():
    alone = random_tensors({"conv.weight": (4, 3, 3, 3)})["conv.weight"]
    among = random_tensors({"a.weight": (2, 2), **SHAPES})["conv.weight"]
    torch.testing.assert_close(alone, among, rtol=0, atol=0)
    assert not torch.equal(alone, random_tensors({"other.weight": (4, 3, 3, 3)})["other.weight"])


def test_weights_are_of_the_kind_their_name_says():
    names = {"bn.running_var": (400,), "bn.weight": (400,), "fc.weight": (400, 50), "gamma": (1,)}
    tensors = random_tensors(names | {"scale": (), "bn.num_batches_tracked": ()})
    assert tensors["bn.running_var"].min() >= 0.5
    assert tensors["bn.weight"].min() >= 0.5
    assert tensors["fc.weight"].std().item() == pytest.approx((2 / 50) ** 0.5, rel=0.03)
    assert tensors["gamma"].tolist() == [0.5]
    assert tensors["scale"].item() == 0.5
    assert tensors["bn.num_batches_tracked"].dtype == torch.int64


def test_randomize_fills_a_network():
    model = nn.Sequential(nn.Conv2d(3, 4, 3), nn.BatchNorm2d(4))
    randomize(model, seed=3)
    wanted = random_tensors({k: tuple(v.shape) for k, v in model.state_dict().items()}, seed=3)
    assert all(torch.equal(model.state_dict()[name], value) for name, value in wanted.items())


def test_a_golden_file_gives_back_what_was_saved(tmp_path: Path):
    save_golden(tmp_path / "net.npz", SHAPES, {(33, 40): LOGITS}, "made by hand")
    golden = load_golden(tmp_path / "net.npz")
    assert golden.shapes == SHAPES
    assert golden.description == "made by hand"
    assert list(golden.outputs) == [(33, 40)]
    compare(LOGITS, golden.outputs[33, 40])
    assert (tmp_path / "net.npz").stat().st_size < 60_000


def test_a_difference_is_found(tmp_path: Path):
    save_golden(tmp_path / "net.npz", SHAPES, {(33, 40): LOGITS}, "")
    sample = load_golden(tmp_path / "net.npz").outputs[33, 40]
    with pytest.raises(AssertionError, match="logits differ"):
        compare(LOGITS * 1.001, sample)
    with pytest.raises(AssertionError):
        compare(LOGITS[..., 1:], sample)
    moved = LOGITS.clone()
    moved[0, :, 5, 5] = moved[0, :, 5, 5].roll(1)
    with pytest.raises(AssertionError, match=r"logits differ|of the pixels"):
        compare(moved, sample)


def test_an_image_is_the_same_every_time():
    assert random_image((5, 7)).shape == (1, 3, 5, 7)
    assert torch.equal(random_image((5, 7)), random_image((5, 7)))
    assert not torch.equal(random_image((5, 7)), random_image((5, 7), seed=1))
