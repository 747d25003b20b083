import pickle
from pathlib import Path

import pytest
import torch

from dualseg.checkpoints.tensors import (
    pack_tensors,
    read_tensors,
    require_finite,
    require_same_tensors,
    shorten,
)
from dualseg.core.errors import InputError


def write(path: Path, tensors: dict[str, torch.Tensor]) -> Path:
    path.write_bytes(pack_tensors(tensors))
    return path


def test_tensors_come_back_bit_for_bit_whatever_their_type_and_layout(tmp_path):
    tensors = {
        "channels_last": torch.randn(2, 3, 4, 5).to(memory_format=torch.channels_last),
        "bf16": torch.randn(7).bfloat16(),
        "count": torch.tensor(3),
        "empty": torch.empty(0, 2),
    }
    back = read_tensors(write(tmp_path / "x.safetensors", tensors))
    assert set(back) == set(tensors)
    for name, tensor in tensors.items():
        assert back[name].dtype == tensor.dtype
        assert torch.equal(back[name], tensor)


def test_tensors_that_share_memory_are_written_one_by_one(tmp_path):
    shared = torch.arange(6.0)
    back = read_tensors(
        write(tmp_path / "x.safetensors", {"a": shared, "b": shared, "c": shared[2:]})
    )
    assert torch.equal(back["a"], back["b"])
    assert torch.equal(back["c"], shared[2:])


def test_read_tensors_do_not_hang_on_the_file(tmp_path):
    path = write(tmp_path / "x.safetensors", {"a": torch.ones(4)})
    back = read_tensors(path)
    write(path, {"a": torch.zeros(4)})
    back["a"] += 1
    assert back["a"].tolist() == [2, 2, 2, 2]
    assert read_tensors(path)["a"].tolist() == [0, 0, 0, 0]


@pytest.mark.parametrize(
    ("content", "said"),
    [
        (pickle.dumps({"a": 1}), "a Python pickle"),
        (b"PK\x03\x04" + b"0" * 50, "a PyTorch zip archive"),
        (b"<!DOCTYPE html><html>not found</html>", "no whole safetensors file"),
        (b"", "no whole safetensors file"),
    ],
)
def test_a_file_of_another_format_is_named_for_what_it_is(tmp_path, content, said):
    path = tmp_path / "model.safetensors"
    path.write_bytes(content)
    with pytest.raises(InputError, match=said) as caught:
        read_tensors(path)
    assert str(path) in str(caught.value)


def test_a_truncated_file_is_refused(tmp_path):
    path = write(tmp_path / "x.safetensors", {"a": torch.ones(100)})
    path.write_bytes(path.read_bytes()[:-1])
    with pytest.raises(InputError, match="no whole safetensors file"):
        read_tensors(path)


def test_a_missing_file_is_named(tmp_path):
    with pytest.raises(InputError, match=r"nothing\.safetensors"):
        read_tensors(tmp_path / "nothing.safetensors")


def test_every_difference_of_names_and_shapes_is_listed_at_once():
    found = {"a": torch.ones(2), "b": torch.ones(3, 4)}
    expected = {"b": torch.ones(3, 5), "c": torch.ones(())}
    with pytest.raises(InputError) as caught:
        require_same_tensors(found, expected, origin="file.safetensors")
    assert caught.value.problems == (
        "missing: c",
        "unexpected: a",
        "wrong shape: b is 3x4, the network needs 3x5",
    )
    assert "file.safetensors" in caught.value.headline


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16, torch.float64])
def test_fractions_may_be_of_another_precision(dtype):
    require_same_tensors({"w": torch.ones(2, dtype=dtype)}, {"w": torch.ones(2)}, origin="x")


@pytest.mark.parametrize("dtype", [torch.int64, torch.uint8, torch.bool, torch.complex64])
def test_other_numbers_are_no_weights(dtype):
    with pytest.raises(InputError, match=r"wrong type: w is \w+, the network needs float32"):
        require_same_tensors({"w": torch.ones(2, dtype=dtype)}, {"w": torch.ones(2)}, origin="x")


COUNTER = {"num_batches_tracked": torch.tensor(7)}


@pytest.mark.parametrize("dtype", [torch.int32, torch.uint8, torch.float32, torch.bfloat16])
def test_a_counter_may_have_any_type_that_holds_whole_numbers(dtype):
    found = {"num_batches_tracked": torch.tensor(7, dtype=dtype)}
    require_same_tensors(found, COUNTER, origin="x")


@pytest.mark.parametrize("value", [7.5, 1e30, float("inf"), float("nan"), True, 7j])
def test_a_counter_is_a_whole_number(value):
    found = {"num_batches_tracked": torch.tensor(value)}
    with pytest.raises(InputError, match=r"wrong type: num_batches_tracked .* needs int64"):
        require_same_tensors(found, COUNTER, origin="x")


def test_nan_and_infinity_are_counted_by_name():
    bad = torch.tensor([1.0, float("nan"), float("inf")])
    with pytest.raises(InputError, match="b: 2 of 3 values"):
        require_finite({"a": torch.ones(2), "b": bad, "n": torch.tensor(1)}, origin="it")


def test_long_lists_are_cut_after_twenty():
    assert shorten(["x"] * 20) == ["x"] * 20
    assert shorten(["x"] * 25) == ["x"] * 20 + ["and 5 more"]
