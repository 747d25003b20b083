"""Files made to harm: each refused within a second, in one line, in little memory; nothing runs."""

import ast
import io
import json
import os
import pickle
import struct
import tarfile
import zipfile
from collections import OrderedDict
from pathlib import Path

import foreign_files as make
import numpy as np
import pytest
import torch

import dualseg
from dualseg.checkpoints.foreign.read import read_foreign


class Payload:
    """Makes a file when it is unpickled."""

    def __init__(self, victim):
        self.victim = victim

    def __reduce__(self):
        return os.system, (f"touch {self.victim}",)


class LatePayload:
    """Runs when its state is set."""

    def __setstate__(self, state):
        os.system(state)

    def __reduce__(self):
        return object.__new__, (LatePayload,), "true"


# S1: pickles that run something


@pytest.mark.parametrize("name", ["model.pt", "model.pth", "model.safetensors", "model"])
@pytest.mark.parametrize("is_zip", [True, False])
def test_a_payload_in_a_torch_file(tmp_path, victim, refused, name, is_zip):
    torch.save(Payload(victim), tmp_path / name, _use_new_zipfile_serialization=is_zip)
    assert "posix.system, which was not run" in refused(tmp_path / name)


@pytest.mark.parametrize(
    "wrap",
    [
        lambda payload: {"state_dict": {"w": torch.ones(2)}, "optimizer": payload},
        lambda payload: {"state_dict": OrderedDict(w=torch.ones(2), x=payload)},
        lambda payload: {"state_dict": {"w": torch.ones(2)}, "meta": {"deep": [({"a": payload},)]}},
        lambda payload: {"w": torch.ones(2), "message_hub": {payload.victim: {1: payload}}},
    ],
)
def test_a_payload_beside_or_among_weights(tmp_path, victim, refused, wrap):
    torch.save(wrap(Payload(victim)), tmp_path / "model.pth")
    assert "posix.system" in refused(tmp_path / "model.pth")


def test_a_payload_that_waits_for_its_state(tmp_path, refused):
    torch.save({"w": torch.ones(2), "x": LatePayload()}, tmp_path / "model.pth")
    assert "which was not run" in refused(tmp_path / "model.pth")


CALLS = """
builtins eval|builtins exec|builtins compile|builtins getattr|builtins __import__|builtins open
builtins breakpoint|__builtin__ eval|posix system|nt system|os system|os popen|os execv
subprocess Popen|subprocess check_output|operator attrgetter|operator methodcaller
functools partial|importlib import_module|runpy run_path|pickle loads|_pickle loads|marshal loads
types FunctionType|types CodeType|shutil rmtree|pty spawn|timeit timeit|code interact|pdb run
webbrowser open|socket socket|ctypes CDLL|torch load|torch.hub load|torch.storage _load_from_bytes
torch.jit load|torch._utils _import_dotted_name|numpy load|numpy.f2py.crackfortran getlincoef
torch.serialization load|copyreg __newobj__|zipimport zipimporter|asyncio.base_events _run
dualseg.cli.main main|torch.nn.modules.linear Linear|__main__ Net
"""


@pytest.mark.parametrize("named", CALLS.replace("\n", "|").strip("|").split("|"))
def test_whatever_a_pickle_names_is_refused_by_name(tmp_path, refused, named):
    module, name = named.split()
    content = make.state_dict({"w": make.call(module, name, "true")})
    message = refused(make.torch_zip(tmp_path / "model.pth", content))
    assert f".{name}, which was not run" in message


@pytest.mark.parametrize(
    "opcodes",
    [
        b"(S'true'\nios\nsystem\n.",  # INST
        b"(cos\nsystem\nS'true'\no.",  # OBJ
        b"\x82\x01.",  # EXT1: looked up in a registry of the process
        b"P1\n.",  # a persistent id as text
        b"\x97.",  # a buffer from outside
    ],
)
def test_opcodes_that_state_dicts_never_need(tmp_path, refused, opcodes):
    refused(make.torch_zip(tmp_path / "model.pth", b"\x80\x02" + opcodes))


def test_inert_objects_are_called_and_filled_without_effect(tmp_path, refused):
    """A known harmless class with a poisoned state, items and keys."""
    harmless = b"cmmengine.config\nConfig\n)R" + make.call("os", "system", "true") + b"b"
    content = make.state_dict({"meta": harmless})
    assert "os.system" in refused(make.torch_zip(tmp_path / "model.pth", content))


def test_calling_what_is_no_name(tmp_path, refused):
    content = make.state_dict({"w": make.text("abs") + make.text("x") + b"\x85R"})
    assert "calls something" in refused(make.torch_zip(tmp_path / "model.pth", content))


def test_a_plain_pickle(tmp_path, victim, refused):
    for protocol in (0, 2, 5):
        path = tmp_path / f"model{protocol}.pth"
        path.write_bytes(pickle.dumps(Payload(victim), protocol=protocol))
        assert "a plain Python pickle" in refused(path)


def test_a_tar_as_torch_0_1_wrote_it(tmp_path, victim, refused):
    path = tmp_path / "model.pth"
    with tarfile.open(path, "w") as archive:
        for name in ("sys_info", "pickle", "storages", "tensors"):
            content = pickle.dumps(Payload(victim), protocol=2)
            info = tarfile.TarInfo(name)
            info.size = len(content)
            archive.addfile(info, io.BytesIO(content))
    assert "tar archive, as torch 0.1 wrote" in refused(path)


def test_numpy_object_arrays(tmp_path, victim, refused):
    array = np.array([Payload(victim)], dtype=object)
    np.save(tmp_path / "model.npy", array)
    np.savez(tmp_path / "model.npz", weights=array)
    assert "a numpy array" in refused(tmp_path / "model.npy")
    assert "a numpy archive" in refused(tmp_path / "model.npz")


def test_a_poisoned_distributed_checkpoint(tmp_path, victim, refused):
    (tmp_path / "model").mkdir()
    (tmp_path / "model" / ".metadata").write_bytes(pickle.dumps(Payload(victim)))
    (tmp_path / "model" / "__0_0.distcp").write_bytes(b"")
    assert "distributed checkpoint" in refused(tmp_path / "model")


def test_an_exported_program(tmp_path, victim, refused):
    path = tmp_path / "model.pt2"
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("model/archive_format", "pt2")
        archive.writestr("model/data/sample_inputs/model.pt", pickle.dumps(Payload(victim)))
    assert "an exported program" in refused(path)


def test_a_torchscript_archive(tmp_path, refused):
    path = make.torch_zip(tmp_path / "model.pt", make.state_dict({"w": make.text("x")}))
    with zipfile.ZipFile(path, "a") as archive:
        archive.writestr("archive/constants.pkl", b"\x80\x02).")
        archive.writestr("archive/code/__torch__.py", "")
    assert "a TorchScript archive" in refused(path)


def test_a_whole_network(tmp_path, refused):
    torch.save(torch.nn.Linear(2, 2), tmp_path / "model.pth")
    message = refused(tmp_path / "model.pth")
    assert "torch.nn.modules.linear.Linear" in message
    assert "state_dict()" in message


def test_a_pickle_beside_weights_is_left_alone(tmp_path, victim):
    make.safetensors_file(tmp_path / "model.safetensors", {"w": make.entry(0, 8)}, bytes(8))
    (tmp_path / "config.json").write_text("{}")
    (tmp_path / "training_args.pkl").write_bytes(pickle.dumps(Payload(victim)))
    (tmp_path / "training_args.bin").write_bytes(pickle.dumps(Payload(victim)))
    assert set(read_foreign(tmp_path).tensors) == {"w"}
    assert not victim.exists()


SAFE_CALLS = {"torch.load": ("weights_only", "True"), "np.load": ("allow_pickle", "False")}


def test_no_line_of_the_package_unpickles():
    found = set()
    for path in Path(dualseg.__file__).parent.rglob("*.py"):
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if isinstance(node, ast.Import | ast.ImportFrom):
                names = {alias.name for alias in node.names} | {getattr(node, "module", None)}
                assert not names & {"pickle", "marshal", "shelve", "dill", "joblib"}, path
            if isinstance(node, ast.Call) and ast.unparse(node.func) in SAFE_CALLS:
                call = ast.unparse(node.func)
                option, value = SAFE_CALLS[call]
                given = {key.arg: ast.unparse(key.value) for key in node.keywords}
                assert given.get(option) == value, path
                found.add(call)
    assert found == set(SAFE_CALLS)  # the check finds what it looks for


# S2: safetensors


@pytest.mark.parametrize(
    ("header", "num_bytes", "reason"),
    [
        ({"w": make.entry(0, 64)}, 16, "take 64 bytes, but it holds 16"),
        ({"a": make.entry(0, 16), "b": make.entry(8, 24)}, 24, "overlap"),
        ({"a": make.entry(0, 8), "b": make.entry(16, 24)}, 24, "leave a hole"),
        ({"a": make.entry(0, 8)}, 24, "it holds 24"),
        ({"w": make.entry(0, 8, [1 << 62, 4])}, 8, "do not fit"),
        ({"w": make.entry(0, 8, [1 << 32, 1 << 32])}, 8, "do not fit"),
        ({"w": make.entry(0, 8, [-1, -2])}, 8, "no sensible shape"),
        ({"w": make.entry(8, 0, [2])}, 8, "do not fit"),
        ({"w": make.entry(0, 8, [2.0])}, 8, "no sensible shape"),
        ({"w": make.entry(0, 8, [1] * 100 + [2])}, 8, "no sensible shape"),
        ({"w": make.entry(0, 8, [2], "F4")}, 8, "of type 'F4'"),
        ({"w": {"dtype": "F32", "shape": [2]}}, 8, "wrongly"),
        ({"w": [1, 2]}, 8, "wrongly"),
        (b'{"w":' + json.dumps(make.entry(0, 8)).encode() + b',"w":{}}', 8, "'w' twice"),
        (b'{"w":{"dtype":"F32","dtype":"F64"}}', 8, "'dtype' twice"),
        (b'{"w":' + b"[" * 100_000, 8, "no JSON"),
        (b'{"w":' + b"9" * 100_000 + b"}", 8, "no JSON"),
        (b'{"w": 1', 8, "no JSON"),
        (b"{\xff\xfe}", 8, "no JSON"),
        ({}, 0, "no named tensors"),
    ],
)
def test_wrong_safetensors_headers(tmp_path, refused, header, num_bytes, reason):
    path = make.safetensors_file(tmp_path / "m.safetensors", header, bytes(num_bytes))
    assert reason in refused(path)


def test_headers_that_claim_too_much(tmp_path, refused):
    path = tmp_path / "model.safetensors"
    for claimed in (1 << 62, (1 << 64) - 1, 1000):
        path.write_bytes(struct.pack("<Q", claimed) + b'{"w": {}}')
        assert "header claims" in refused(path)


def test_a_header_of_100_megabytes(tmp_path, refused):
    path = tmp_path / "model.safetensors"
    with open(path, "wb") as file:
        file.write(struct.pack("<Q", 100_000_000) + b'{"w":')
        file.truncate(100_000_008)
    assert "far too many" in refused(path)


def test_empty_and_cut_off_files(tmp_path, refused):
    path = tmp_path / "model.safetensors"
    whole = make.safetensors_file(path, {"w": make.entry(0, 800)}, bytes(800)).read_bytes()
    for size in (0, 1, 7, 8, 9, 40, 400, len(whole) - 1):
        path.write_bytes(whole[:size])
        refused(path)
    path.write_bytes(b"")
    assert "empty" in refused(path)


@pytest.mark.parametrize("value", [float("nan"), float("inf")])
def test_weights_that_are_no_numbers(tmp_path, refused, value):
    content = struct.pack("<2f", 1.0, value)
    path = make.safetensors_file(tmp_path / "m.safetensors", {"w": make.entry(0, 8)}, content)
    assert "1 of its 1 tensors hold NaN or infinity" in refused(path)
    torch.save({"w": torch.tensor([value])}, tmp_path / "model.pth")
    assert "NaN" in refused(tmp_path / "model.pth")


def test_weights_that_float32_cannot_hold(tmp_path, refused):
    wide = {"small": torch.ones(2, dtype=torch.float64), "w": torch.ones(2, dtype=torch.float64)}
    wide["w"][1] = 1e300
    torch.save(wide, tmp_path / "model.pth")
    message = refused(tmp_path / "model.pth")
    assert "1 of its 2 tensors hold numbers too large for float32, the first is 'w'" in message
