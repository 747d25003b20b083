"""Damaged, strange and hostile files: one message, and nothing in them is run."""

import io
import json
import pickle
import shutil
import zipfile

import pytest
import torch

from dualseg.core.errors import InputError
from dualseg.export.loading import load_exported
from dualseg.export.programs import read_weights


class Bomb:
    """What runs when it is unpickled."""

    def __init__(self, path):
        self.path = path

    def __reduce__(self):
        return (open, (str(self.path), "w"))


def refused(path):
    with pytest.raises(InputError) as info:
        load_exported(path).start()
    return str(info.value)


def rewritten(source, target, change):
    """A copy of a zip archive; `change` takes (name, content) and returns the new content."""
    with zipfile.ZipFile(source) as old, zipfile.ZipFile(target, "w") as new:
        for name in old.namelist():
            content = change(name, old.read(name))
            if content is not None:
                new.writestr(name, content)
    return target


@pytest.mark.parametrize("name", ["onnx", "openvino", "torch"])
@pytest.mark.parametrize("share", [0.0, 0.3, 0.9, 0.999])
def test_truncated(file_of, tmp_path, name, share):
    source = file_of(name)
    path = tmp_path / source.name
    if name == "openvino":
        shutil.copy(source.with_suffix(".bin"), path.with_suffix(".bin"))
    content = source.read_bytes()
    path.write_bytes(content[: int(share * len(content))])
    assert str(path) in refused(path)


def test_openvino_without_its_weights(file_of, tmp_path):
    path = tmp_path / "small.xml"
    shutil.copy(file_of("openvino"), path)
    assert "an OpenVINO network is a pair, .xml and .bin" in refused(path)


def test_openvino_with_the_weights_cut_short(file_of, tmp_path):
    source, path = file_of("openvino"), tmp_path / "small.xml"
    shutil.copy(source, path)
    weights = source.with_suffix(".bin").read_bytes()
    path.with_suffix(".bin").write_bytes(weights[: len(weights) // 2])
    assert "is no OpenVINO network" in refused(path)


def test_xml_whose_entities_grow(tmp_path):
    pytest.importorskip("openvino")
    lines = [f'<!ENTITY l{n} "{f"&l{n - 1};" * 10}">' for n in range(1, 9)]
    start = '<?xml version="1.0"?><!DOCTYPE net [<!ENTITY l0 "lol">'
    path = tmp_path / "laughs.xml"
    path.write_text(start + "".join(lines) + "]><net>&l8;</net>")
    path.with_suffix(".bin").write_bytes(b"")
    assert "is no OpenVINO network" in refused(path)


def test_a_flipped_bit_in_a_pt2_file_is_found(file_of, tmp_path):
    content = bytearray(file_of("torch").read_bytes())
    content[len(content) // 3] ^= 4
    path = tmp_path / "x.pt2"
    path.write_bytes(content)
    assert "is no whole .pt2 file" in refused(path)


def test_a_file_of_another_program(tmp_path, file_of):
    onnx = pytest.importorskip("onnx")
    model = onnx.load_model(str(file_of("onnx")))
    del model.metadata_props[:]
    path = tmp_path / "foreign.onnx"
    onnx.save_model(model, str(path))
    message = refused(path)
    assert "dualseg.facts" in message
    assert "was not written by dualseg export" in message


def test_weights_in_other_files_are_not_followed(tmp_path, file_of):
    onnx = pytest.importorskip("onnx")
    model = onnx.load_model(str(file_of("onnx")))
    path = tmp_path / "outside.onnx"
    onnx.save_model(model, str(path), save_as_external_data=True, location="weights.data")
    assert "its weights lie in other files" in refused(path)


def test_operations_beyond_the_standard_are_refused(tmp_path, file_of):
    onnx = pytest.importorskip("onnx")
    model = onnx.load_model(str(file_of("onnx")))
    model.graph.node[0].domain = "com.example"
    model.opset_import.add(domain="com.example", version=1)
    path = tmp_path / "custom.onnx"
    path.write_bytes(model.SerializeToString())
    assert "'com.example'" in refused(path)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("{", "its dualseg.facts is no JSON"),
        ("[]", "its dualseg.facts is no JSON object"),
        ("[" * 100_000, "its dualseg.facts is no JSON"),
        ('{"format": "x"}', "has format 'x'"),
        ('{"format": "dualseg-model/1"}', "is no whole description of a model"),
    ],
)
def test_damaged_facts(file_of, tmp_path, text, message):
    def change(name, content):
        return text.encode() if name.endswith("dualseg.facts") else content

    assert message in refused(rewritten(file_of("torch"), tmp_path / "x.pt2", change))


@pytest.mark.parametrize(
    ("channels", "said"),
    [(10_000_000, "does not fit the network"), (10**16, "no network can be so large")],
)
def test_facts_that_ask_for_more_memory_than_the_weights(file_of, tmp_path, channels, said):
    def change(name, content):
        if not name.endswith("dualseg.facts"):
            return content
        facts = json.loads(content)
        facts["architecture"]["head_options"] = {"channels": channels}
        return json.dumps(facts).encode()

    assert said in refused(rewritten(file_of("torch"), tmp_path / "x.pt2", change))


def test_a_note_of_another_version(file_of, tmp_path):
    def change(name, content):
        return b'{"format": "dualseg-export/9"}' if name.endswith("dualseg.export") else content

    path = rewritten(file_of("torch"), tmp_path / "x.pt2", change)
    assert "this version of dualseg reads 'dualseg-export/1'" in refused(path)


def test_nothing_in_a_pt2_file_is_unpickled(file_of, network, tmp_path):
    """Bombs in places that torch.export.load unpickles or evaluates."""
    fired = tmp_path / "fired"
    bomb = pickle.dumps(Bomb(fired))
    saved = io.BytesIO()
    torch.save(Bomb(fired), saved)

    def change(name, content):
        if "sample_inputs" in name:
            return saved.getvalue()
        if name.endswith("model_constants_config.json"):
            entry = {"path_name": "opaque_obj_0", "is_param": False, "use_pickle": True}
            return json.dumps({"config": {"x": {**entry, "tensor_meta": None}}}).encode()
        if name.endswith("models/model.json"):
            return content.replace(b'"s', b"\"__import__('os').system('touch fired')+s")
        return content

    path = rewritten(file_of("torch"), tmp_path / "bombs.pt2", change)
    with zipfile.ZipFile(path, "a") as archive:
        top = archive.namelist()[0].split("/")[0]
        archive.writestr(f"{top}/data/constants/opaque_obj_0", bomb)
        archive.writestr(f"{top}/data/aotinductor/model/x.so", b"\x7fELF")
    pickle.loads(bomb).close()  # it is live: unpickling does what it says
    assert fired.exists()
    fired.unlink()
    images = torch.zeros(1, 3, 32, 48, dtype=torch.uint8)
    logits = load_exported(path).logits(images)
    torch.testing.assert_close(logits, load_exported(file_of("torch")).logits(images))
    assert not fired.exists()


def entry_with(**changes):
    """A change of the first weight of the network in the archive's list."""

    def change(name, content):
        if not name.endswith("weights/model_weights_config.json"):
            return content
        listed = json.loads(content)
        first = next(v for k, v in listed["config"].items() if k.startswith("network.model."))
        for key, value in changes.items():
            place = first if key in first else first["tensor_meta"]
            place[key] = value
        return json.dumps(listed).encode()

    return change


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"use_pickle": True}, "is a pickle, which could run code"),
        ({"path_name": "../../secret"}, "is a pickle, which could run code"),
        ({"dtype": 99}, "has a type of another version"),
        ({"sizes": [{"as_int": 1 << 40}]}, "its shape"),
        ({"sizes": [{"as_int": -1}]}, "-1 is no count"),
        ({"storage_offset": {"as_int": 1 << 40}}, "RuntimeError: setStorage"),
        ({"strides": [{"as_int": 1 << 40}] * 4}, "RuntimeError: setStorage"),
        ({"tensor_meta": None}, "is a pickle"),
    ],
)
def test_weights_that_are_no_plain_numbers(file_of, tmp_path, changes, message):
    path = rewritten(file_of("torch"), tmp_path / "x.pt2", entry_with(**changes))
    with pytest.raises(InputError, match="is no whole") as info:
        read_weights(path)
    assert message in str(info.value)


def test_a_compressed_archive_is_not_unpacked(file_of, tmp_path):
    path = tmp_path / "bomb.pt2"
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("small/extra/dualseg.facts", b" " * 100_000_000)
        archive.writestr("small/extra/dualseg.export", b"{}")
    assert path.stat().st_size < 200_000
    assert "is compressed or larger than" in refused(path)


@pytest.mark.parametrize("suffix", [".pt", ".pth", ".so", ".ts"])
def test_files_of_code_are_not_opened(tmp_path, suffix):
    path = tmp_path / f"net{suffix}"
    path.write_bytes(b"\x80")
    assert "can run code when it is opened" in refused(path)


def test_what_is_no_exported_file(tmp_path):
    assert "there is no file" in refused(tmp_path / "nowhere.onnx")
    (tmp_path / "x.txt").write_text("")
    assert "those end in .onnx, .xml, .pt2" in refused(tmp_path / "x.txt")
    folder = tmp_path / "folder.onnx"
    folder.mkdir()
    assert "there is no file" in refused(folder)


def test_runtimes_are_checked(file_of):
    with pytest.raises(InputError, match="did you mean openvino"):
        load_exported(file_of("torch"), runtime="openvinno")
    with pytest.raises(InputError, match="use eager or openvino or compiled"):
        load_exported(file_of("torch"), runtime="onnxruntime")
