"""Checkpoints as training programs write them, against torch's own reader."""

import argparse
import datetime
import json
import pathlib
import sys
import types
import zipfile
from collections import Counter, OrderedDict, defaultdict

import numpy as np
import pytest
import safetensors.torch
import torch
from torch import nn

from dualseg.checkpoints.checksums import sha256_of
from dualseg.checkpoints.foreign.peel import peel
from dualseg.checkpoints.foreign.read import read_foreign
from dualseg.core.errors import InputError

FORMS = {
    "zip": {},
    "zip protocol 4": {"pickle_protocol": 4},
    "legacy": {"_use_new_zipfile_serialization": False},
    "legacy protocol 4": {"_use_new_zipfile_serialization": False, "pickle_protocol": 4},
}
DTYPES = [
    "float64",
    "float32",
    "float16",
    "bfloat16",
    "int64",
    "int32",
    "int16",
    "int8",
    "uint8",
    "bool",
]


@pytest.fixture(params=FORMS)
def save(request, tmp_path):
    """torch.save in each form it has; returns the path."""

    def write(content, name="model.pth"):
        torch.save(content, tmp_path / name, **FORMS[request.param])
        return tmp_path / name

    return write


def same(found, expected):
    assert list(found) == list(expected)
    for name, tensor in expected.items():
        assert found[name].dtype == tensor.dtype
        assert found[name].stride() == tensor.stride()
        torch.testing.assert_close(found[name], tensor, rtol=0, atol=0)


@pytest.mark.parametrize("dtype", DTYPES)
def test_every_dtype(save, dtype):
    tensor = (torch.arange(12).reshape(3, 4) % 5).to(getattr(torch, dtype))
    content = {"w": tensor, "scalar": tensor[1, 2].clone(), "empty": tensor[:0].clone()}
    same(read_foreign(save(content)).tensors, content)


@pytest.mark.parametrize("is_zip", [True, False])
def test_a_state_dict_is_read_as_torch_reads_it(tmp_path, is_zip):
    path = tmp_path / "model.pth"
    network = nn.Sequential(nn.Conv2d(3, 4, 3), nn.BatchNorm2d(4)).half()
    torch.save(network.state_dict(), path, _use_new_zipfile_serialization=is_zip)
    same(read_foreign(path).tensors, torch.load(path, weights_only=True))


def test_views_transposes_parameters_and_shared_storages(save):
    base = torch.arange(24.0)
    content = OrderedDict(
        whole=base,
        part=base[4:10],
        square=base[:16].reshape(4, 4).t(),
        column=base.reshape(6, 4)[:, 1],
        parameter=nn.Parameter(base.reshape(4, 6)),
        last=torch.ones(2, 3, 4, 5).to(memory_format=torch.channels_last),
    )
    path = save(content)
    found = read_foreign(path).tensors
    same(found, {name: tensor.detach() for name, tensor in content.items()})
    assert found["whole"].data_ptr() == found["parameter"].data_ptr()


def test_a_network_is_read_as_it_was(save):
    network = nn.Sequential(nn.Conv2d(3, 4, 3), nn.BatchNorm2d(4))
    path = save(network.state_dict())
    checkpoint = read_foreign(path)
    same(checkpoint.tensors, network.state_dict())
    assert checkpoint.sha256 == sha256_of(path)
    assert checkpoint.notes == ()


def test_a_training_state_with_everything_programs_put_into_it(save):
    network = nn.Linear(3, 2)
    optimizer = torch.optim.Adam(network.parameters())
    network(torch.ones(1, 3)).sum().backward()
    optimizer.step()
    counted = defaultdict(list, a=[1, 2])
    path = save(
        {
            "epoch": 7,
            "state_dict": network.state_dict(),
            "optimizer": optimizer.state_dict(),
            "best_score": np.float64(0.5),
            "palette": np.array([[1, 2, 3], [4, 5, 6]], dtype=np.uint8),
            "args": argparse.Namespace(lr=0.1, root=pathlib.PurePosixPath("/a/b")),
            "milestones": Counter([3, 3, 5]),
            "lists": counted,
            "size": torch.Size([2, 3]),
            "dtype": torch.float16,
            "device": torch.device("cpu"),
            "when": datetime.timedelta(1),
            "names": {"a": ("x", b"y", None, True, 1 << 80, -1.5)},
            "flags": {"é": {1}},
        }
    )
    checkpoint = read_foreign(path)
    same(checkpoint.tensors, network.state_dict())
    meta = {**checkpoint.meta}
    assert meta.pop("optimizer")["param_groups"][0]["lr"] == 0.001
    assert meta == {
        "epoch": 7,
        "best_score": 0.5,
        "palette": [[1, 2, 3], [4, 5, 6]],
        "args": {"lr": 0.1, "root": "/a/b"},
        "milestones": {"3": 2, "5": 1},
        "lists": {"a": [1, 2]},
        "size": [2, 3],
        "dtype": "torch.float16",
        "device": "<torch.device>",
        "when": "<datetime.timedelta>",
        "names": {"a": ["x", "y", None, True, 1 << 80, -1.5]},
        "flags": {"é": [1]},
    }
    json.dumps(meta)
    assert checkpoint.notes == ("took the weights under 'state_dict'",)


def test_objects_of_mmengine_are_left_inert(save, monkeypatch):
    """A stand-in module writes them; none of its code is needed to read them."""
    module = types.ModuleType("mmengine.logging.history_buffer")

    class HistoryBuffer:
        def __setstate__(self, state):
            raise AssertionError("its code ran")

    HistoryBuffer.__module__ = module.__name__
    HistoryBuffer.__qualname__ = "HistoryBuffer"
    module.HistoryBuffer = HistoryBuffer
    for name in ("mmengine", "mmengine.logging", module.__name__):
        monkeypatch.setitem(sys.modules, name, module)
    buffer = HistoryBuffer()
    buffer.log = np.arange(300_000.0)
    path = save(
        {
            "meta": {"mmengine_version": "0.10", "dataset_meta": {"classes": ("a", "b")}},
            "state_dict": {"backbone.w": torch.ones(2), "backbone.b": torch.ones(1)},
            "ema_state_dict": {"module.backbone.w": torch.zeros(2)},
            "message_hub": {"log_scalars": {"loss": buffer}},
        }
    )
    monkeypatch.undo()
    checkpoint = read_foreign(path)
    assert checkpoint.meta["meta"]["dataset_meta"]["classes"] == ["a", "b"]
    assert checkpoint.meta["message_hub"] == {"log_scalars": {"loss": {"log": "<numpy array>"}}}
    assert checkpoint.tensors["backbone.w"].tolist() == [1, 1]  # the averaged ones, in mmengine


def test_no_checksums_in_the_archive_are_no_fault(tmp_path):
    torch.serialization.set_crc32_options(False)
    try:
        torch.save({"w": torch.ones(3)}, tmp_path / "model.pth")
    finally:
        torch.serialization.set_crc32_options(True)
    with zipfile.ZipFile(tmp_path / "model.pth") as archive:
        assert archive.testzip() is not None
    assert read_foreign(tmp_path / "model.pth").tensors["w"].tolist() == [1, 1, 1]


@pytest.mark.parametrize(
    "name", ["a.weights", "a.checkpoint", "a.cpkt", "a.pth.tar", "a.safetensors"]
)
def test_the_content_counts_and_not_the_name(tmp_path, name):
    torch.save({"w": torch.ones(3)}, tmp_path / name)
    assert read_foreign(tmp_path / name).container == "torch zip"
    safetensors.torch.save_file({"w": torch.ones(3)}, tmp_path / name)
    assert read_foreign(tmp_path / name).container == "safetensors"


def test_a_folder_of_the_hub(tmp_path):
    safetensors.torch.save_file(
        {"model.w": torch.ones(3), "model.half": torch.ones(2, dtype=torch.bfloat16)},
        tmp_path / "model.safetensors",
        metadata={"format": "pt"},
    )
    (tmp_path / "config.json").write_text('{"classes": 3}')
    checkpoint = read_foreign(tmp_path)
    assert set(checkpoint.tensors) == {"w", "half"}
    assert checkpoint.meta == {"metadata": {"format": "pt"}, "config": {"classes": 3}}
    assert checkpoint.sha256 == sha256_of(tmp_path / "model.safetensors")


def test_an_empty_folder_and_a_sharded_one(tmp_path):
    with pytest.raises(InputError, match=r"neither of model\.safetensors, pytorch_model\.bin"):
        read_foreign(tmp_path)
    (tmp_path / "model.safetensors.index.json").write_text("{}")
    with pytest.raises(InputError, match="several files"):
        read_foreign(tmp_path)


W = torch.ones(1)


@pytest.mark.parametrize(
    ("content", "names"),
    [
        ({"module.a": W, "module.b": W}, ["a", "b"]),
        ({"module.a": W, "b": W}, ["module.a", "b"]),
        ({"model": {"state_dict": {"module.model.a": W}}}, ["a"]),
        ({"state_dict": {"model._orig_mod.net.a": W}}, ["a"]),
        ({"backbone._orig_mod.a": W, "head.b": W}, ["backbone.a", "head.b"]),
        ({"cur_itrs": 3, "model_state": {"a": W}, "optimizer_state": {"x": W}}, ["a"]),
        ({"best": W, "state_dict": {"a": W}}, ["a"]),
        (
            {"encoder": {"a": W}, "decoder": {"b": W}, "optimizer": {"c": W}},
            ["encoder.a", "decoder.b"],
        ),
        ({"my_network": {"a": W}, "ema": {"a": W}, "epoch": 3}, ["a"]),
    ],
)
def test_what_programs_put_around_a_state_dict(content, names):
    assert list(peel(content).tensors) == names


def test_averaged_weights_come_first_except_mmengines():
    both = {"state_dict": {"a": W}, "ema_state_dict": {"module.b": W}}
    assert list(peel(both).tensors) == ["b"]
    assert list(peel({**both, "message_hub": {}}).tensors) == ["a"]
    assert list(peel({**both, "meta": {"mmengine_version": "0.10"}}).tensors) == ["a"]


def test_every_peel_is_told():
    peeled = peel({"epoch": 3, "model": {"module.net.a": W, "module.net.b": W}})
    assert peeled.rest == {"epoch": 3}
    assert peeled.notes == (
        "took the weights under 'model'",
        "took off the prefix 'module.'",
        "took off the prefix 'net.'",
    )


LEFT_OUT = "left out what stood beside the network: "


@pytest.mark.parametrize(
    ("beside", "prefix"),
    [
        (["n_averaged"], "module."),
        (["loss.weight"], "model."),
        (["criterion.ce.weight", "val_metric.confmat", "train_iou.total"], "model."),
        (["mean", "std", "class_weights"], "net."),
    ],
)
def test_what_a_wrapper_keeps_beside_its_network_is_left_out_and_named(beside, prefix):
    peeled = peel({"state_dict": dict.fromkeys([*beside, prefix + "a", prefix + "b.mean"], W)})
    assert list(peeled.tensors) == ["a", "b.mean"]
    assert LEFT_OUT + ", ".join(map(repr, beside)) in peeled.notes


def test_many_tensors_beside_a_network_are_counted():
    peeled = peel({"model.a": W, **{f"loss.{i}": W for i in range(20)}})
    assert peeled.notes[-1].endswith("'loss.11', ... and 8 more")


@pytest.mark.parametrize(
    "names",
    [
        ["encoder.a", "criterion.weight"],
        ["model.a", "symmetric.b"],
        ["loss.a", "loss.b"],
        ["mean", "std"],
        ["model.a", "teacher.a"],
    ],
)
def test_what_no_wrapper_is_known_for_stays(names):
    peeled = peel(dict.fromkeys(names, W))
    assert list(peeled.tensors) == names
    assert peeled.notes == ()


def test_an_average_of_a_network_is_read_as_the_network(save):
    network = nn.Sequential(nn.Conv2d(3, 4, 3), nn.BatchNorm2d(4))
    averaged = torch.optim.swa_utils.AveragedModel(network)
    averaged.update_parameters(network)
    checkpoint = read_foreign(save({"epoch": 3, "model_ema": averaged.state_dict()}))
    same(checkpoint.tensors, network.state_dict())
    assert LEFT_OUT + "'n_averaged'" in checkpoint.notes
