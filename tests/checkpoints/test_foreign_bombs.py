"""Files that would fill memory or time: refused within a second, in one line, in little memory."""

import os
import random
import struct
import zipfile

import foreign_files as make
import pytest
import torch

from dualseg.checkpoints.foreign.read import read_foreign
from dualseg.core.errors import InputError


def test_a_compressed_archive(tmp_path, refused):
    pickled = make.state_dict({"w": make.tensor("0", 1 << 24, (1 << 24,), (1,))})
    path = tmp_path / "model.pth"
    make.torch_zip(path, pickled, {"0": bytes(1 << 26)}, compression=zipfile.ZIP_DEFLATED)
    assert path.stat().st_size < 1 << 17
    assert "compressed" in refused(path)


@pytest.mark.parametrize(
    ("length", "size", "stride", "offset", "reason"),
    [
        (4, (10**12,), (0,), 0, "same place"),
        (4, (2, 2), (1, 1), 0, "same place"),
        (4, (10**6, 2), (1, 2), 0, "same place"),
        (4, (5,), (1,), 0, "beyond its storage"),
        (4, (2,), (1,), 3, "beyond its storage"),
        (4, (10**12,), (1,), 0, "beyond its storage"),
        (4, (2, 2), (1 << 40, 1), 0, "beyond its storage"),
        (4, (-1,), (1,), 0, "shape"),
        (4, (2,), (-1,), 0, "strides"),
        (4, (2,), (1,), -1, "offset"),
        (4, (2, 2), (1,), 0, "strides"),
        (4, (1,) * 100, (1,) * 100, 0, "shape"),
        (1 << 40, (1,), (1,), 0, "has 16 bytes instead of"),
        (-4, (1,), (1,), 0, "no storage"),
    ],
)
def test_tensors_that_are_not_where_they_say(
    tmp_path, refused, length, size, stride, offset, reason
):
    pickled = make.state_dict({"w": make.tensor("0", length, size, stride, offset=offset)})
    path = make.torch_zip(tmp_path / "model.pth", pickled, {"0": bytes(16)})
    assert reason in refused(path)


def test_many_tensors_on_one_storage(tmp_path, refused):
    """100 names for the same megabyte: small in the file, large once copied."""
    one = make.tensor("0", 1 << 18, (1 << 18,), (1,))
    pickled = make.state_dict({f"w{i}": one for i in range(100)})
    path = make.torch_zip(tmp_path / "model.pth", pickled, {"0": bytes(1 << 20)})
    assert "would take" in refused(path)


def test_a_million_tiny_tensors(tmp_path, refused):
    one = make.tensor("0", 4, (1,), (1,))
    items = b"".join(make.text(f"w{i}") + one for i in range(100_000))
    path = tmp_path / "model.pth"
    make.torch_zip(path, b"\x80\x02}(" + items + b"u.", {"0": bytes(16)})
    assert "more than 10,000 tensors" in refused(path)


def test_a_million_members(tmp_path, refused):
    """Only their list is written: the refusal comes before anything is looked for."""
    path = tmp_path / "model.pth"
    record = struct.pack("<4s6H3L5H2L", b"PK\x01\x02", *([0] * 16)) + b"a"
    size = 1_000_000 * len(record)
    end = struct.pack("<4s4H2LH", b"PK\x05\x06", 0, 0, 0xFFFF, 0xFFFF, size, 4, 0)
    with open(path, "wb") as file:
        file.write(b"PK\x03\x04")
        file.seek(4 + size)
        file.write(end)
    assert "far too many" in refused(path)


@pytest.mark.parametrize("opcode", [b"N", b"]", b"}", b"(", b"Nq\x00", b"]\x94", b"G12345678"])
def test_a_million_values(tmp_path, refused, opcode):
    path = make.torch_zip(tmp_path / "model.pth", b"\x80\x02" + opcode * 1_000_000 + b".")
    assert "steps" in refused(path)


def test_a_million_memo_entries(tmp_path, refused):
    entries = b"".join(b"r" + struct.pack("<I", i) for i in range(700_000))
    path = make.torch_zip(tmp_path / "model.pth", b"\x80\x02N" + entries + b".")
    assert "steps" in refused(path)


def test_lists_of_members_and_tensors_just_below_the_limits(tmp_path, refused):
    path = tmp_path / "model.pth"
    members = {str(i): b"" for i in range(30_000)}
    assert "no named tensors" in refused(make.torch_zip(path, b"\x80\x02}.", members))
    header = b'{"w":[' + b"{}," * 800_000 + b"{}]}"
    path = make.safetensors_file(tmp_path / "m.safetensors", header, b"")
    assert "wrongly" in refused(path)


def test_names_that_a_terminal_would_obey(tmp_path, refused):
    torch.save({"\x1b[2Jw": torch.ones(2)}, tmp_path / "model.pth")
    message = refused(tmp_path / "model.pth")
    assert "\x1b" not in message
    assert "is no name" in message


@pytest.mark.parametrize("wrapping", [(b"]", b"a"), (b"}N", b"s"), (b"", b"\x85")])
@pytest.mark.parametrize("place", ["weights", "beside"])
def test_nested_a_hundred_thousand_times(tmp_path, refused, wrapping, place):
    opening, closing = wrapping
    nested = opening * 100_000 + b"N" + closing * 100_000
    entries = {"w": make.tensor("0", 4, (4,), (1,)), "x": nested}
    pickled = make.state_dict(entries if place == "beside" else {"state_dict": nested})
    path = make.torch_zip(tmp_path / "model.pth", pickled, {"0": bytes(16)})
    message = refused(path)
    assert "nested deeper" in message or "no named tensors" in message


def test_a_billion_laughs(tmp_path, refused):
    """Each list holds the one before it ten times: 10^30 values in 1 kB."""
    laughs = b"]Na"
    for _ in range(30):
        laughs += b"q\x000](" + b"h\x00" * 10 + b"e"
    entries = {"w": make.tensor("0", 4, (4,), (1,)), "x": laughs}
    path = make.torch_zip(tmp_path / "m.pth", make.state_dict(entries), {"0": bytes(16)})
    assert "more than 200,000 values" in refused(path)


def test_a_list_inside_itself(tmp_path, refused):
    entries = {"w": make.tensor("0", 4, (4,), (1,)), "x": b"]q\x00h\x00a"}
    path = make.torch_zip(tmp_path / "m.pth", make.state_dict(entries), {"0": bytes(16)})
    assert "nested deeper" in refused(path)


@pytest.mark.parametrize(
    "opcodes",
    [
        b"X" + struct.pack("<I", 0xFFFFFFF0),  # a text of 4 GB
        b"\x8d" + struct.pack("<Q", 1 << 62),
        b"\x8e" + struct.pack("<Q", (1 << 64) - 1),
        b"T" + struct.pack("<i", -5),
        b"\x8b" + struct.pack("<i", 1 << 30),  # a number of a gigabyte
        b"I" + b"9" * 100_000 + b"\n",
        b"N" + b"r" + struct.pack("<I", 1 << 31) + b"t",  # a memo index that would fill memory
        b"e",
        b"R",
        b"b",
        b"h\x07",
    ],
)
def test_broken_opcodes(tmp_path, refused, opcodes):
    refused(make.torch_zip(tmp_path / "model.pth", b"\x80\x02" + opcodes + b"."))


SMALL = make.tensor("0", 4, (4,), (1,))
ORDERED = b"ccollections\nOrderedDict\n"
MEGABYTE = make.text("x" * 1_000_000)


def many(start, again, count=100_000):
    """Something large under memo 1, then a step that uses it, again and again, in one list."""
    return start + b"q\x010](" + again * count + b"e"


@pytest.mark.parametrize(
    "value",
    [
        # a dictionary from the same 100 000 pairs
        many(b"](" + b"(K\x01Nt" * 100_000 + b"e", ORDERED + b"h\x01\x85R"),
        many(b"](" + b"K\x01" * 100_000 + b"e", b"ctorch\nSize\nh\x01\x85R"),
        many(MEGABYTE, b"c_codecs\nencode\nh\x01\x85R"),
        many(MEGABYTE, make.text("mmcv.x") + b"h\x01\x93"),
        many(MEGABYTE, b"h\x01" + make.text("x") + b"\x93"),
        many(make.text("x" * 190), make.text("mmcv.x") + b"h\x01\x93)R", 200_000),
        many(MEGABYTE, b"cpathlib\nPosixPath\n(h\x01h\x01tR"),
        many(b"C\xff" + b"x" * 255, b"h\x01", 300_000),
        many(MEGABYTE, b"cnumpy\ndtype\nh\x01\x85R"),
        many(b"cmmcv\nC\n", b"h\x01)R]a", 150_000),
        b"}(" + b"".join(make.integer(i) + b"N" for i in range(150_000)) + b"u",
        b"}" + MEGABYTE + b"q\x01(h\x01h\x01tNs",
        # 50 000 names for one dictionary of 50 000 entries
        b"}("
        + b"".join(b"M" + struct.pack("<H", i) + b"N" for i in range(50_000))
        + b"uq\x010}("
        + b"".join(b"M" + struct.pack("<H", i) + b"h\x01" for i in range(50_000))
        + b"u",
        b"}(" + make.text("a" * 400) + SMALL + b"u",
        b"}(" + make.text("net." * 200_000) + SMALL + b"u",
    ],
    ids=range(15),
)
@pytest.mark.parametrize("place", ["beside", "top"])
def test_one_large_thing_used_again_and_again(tmp_path, bounded, value, place):
    pickled = make.state_dict({"w": SMALL, "x": value}) if place == "beside" else value + b"."
    bounded(make.torch_zip(tmp_path / "model.pth", pickled, {"0": bytes(16)}))


def test_a_double_name_at_the_end_of_a_long_header(tmp_path, refused):
    names = b",".join(b'"%d":1' % i for i in range(200_000))
    path = make.safetensors_file(tmp_path / "m.safetensors", b"{" + names + b',"199999":1}', b"")
    assert "'199999' twice" in refused(path)


def test_whole_numbers_that_collide_as_keys(tmp_path, refused):
    step = (1 << 61) - 1
    pickled = b"\x80\x02}(" + b"".join(make.integer(i * step) + b"N" for i in range(1, 4)) + b"u."
    assert "key of type int" in refused(make.torch_zip(tmp_path / "model.pth", pickled))


def test_doubled_overlapping_and_encrypted_members(tmp_path, refused):
    path = tmp_path / "model.pth"
    pickled = make.state_dict({"w": make.tensor("0", 4, (4,), (1,))})
    make.torch_zip(path, pickled, {"0": bytes(16)})
    whole = path.read_bytes()
    with zipfile.ZipFile(path, "a") as archive, pytest.warns(UserWarning, match="Duplicate"):
        archive.writestr("archive/data.pkl", b"\x80\x02}.")
    assert "two members" in refused(path)

    directory = whole.index(b"PK\x01\x02")
    encrypted = bytearray(whole)
    encrypted[directory + 8] |= 1
    path.write_bytes(encrypted)
    assert "encrypted" in refused(path)

    name = whole.index(b"archive/data/0", directory)
    first = bytearray(whole)
    first[name - 4 : name] = bytes(4)  # its header is said to be the pickle's
    path.write_bytes(first)
    assert "overlaps" in refused(path)


def test_types_of_tensor_that_no_network_needs(tmp_path, refused):
    for name in ("_rebuild_sparse_tensor", "_rebuild_qtensor", "_rebuild_meta_tensor_no_storage"):
        pickled = make.state_dict({"w": make.call("torch._utils", name, "x")})
        assert "needs" in refused(make.torch_zip(tmp_path / "model.pth", pickled))
    torch.save({"w": torch.eye(3).to_sparse()}, tmp_path / "sparse.pth")
    assert "a sparse tensor" in refused(tmp_path / "sparse.pth")
    torch.save({"w": torch.zeros(3, dtype=torch.complex64)}, tmp_path / "complex.pth")
    refused(tmp_path / "complex.pth")


def test_a_changed_number_is_noticed(tmp_path, refused):
    path = tmp_path / "model.pth"
    torch.save({"w": torch.arange(100.0)}, path)
    content = bytearray(path.read_bytes())
    content[content.index(struct.pack("<f", 50.0))] ^= 1
    path.write_bytes(content)
    assert "CRC differs" in refused(path)


def test_other_files(tmp_path, refused):
    others = {
        "a web page": b"<!DOCTYPE html><html>",
        "an HDF5 file": b"\x89HDF\r\n\x1a\n",
        "compressed with gzip": b"\x1f\x8b\x08",
        "a Git LFS pointer": b"version https://git-lfs.github.com/spec/v1\noid sha256:0",
        "a text (JSON)": b'{"a": 1}',
        "that is known here": b"\x00" * 100,
    }
    for reason, content in others.items():
        (tmp_path / "model.pth").write_bytes(content)
        assert reason in refused(tmp_path / "model.pth")
    assert "there is no file" in refused(tmp_path / "nothing.pth")
    os.mkfifo(tmp_path / "pipe.pth")
    assert "no ordinary file" in refused(tmp_path / "pipe.pth")


def test_damaged_files_never_crash(tmp_path):
    """900 mutants of three small files: read or refused, nothing else."""
    path = tmp_path / "model.pth"
    content = {"state_dict": {"a.w": torch.ones(3, 2), "a.b": torch.zeros(2)}, "epoch": 3}
    originals = []
    for is_zip in (True, False):
        torch.save(content, path, _use_new_zipfile_serialization=is_zip)
        originals.append(path.read_bytes())
    header = {"a.w": make.entry(0, 24, [3, 2]), "a.b": make.entry(24, 32)}
    originals.append(make.safetensors_file(path, header, bytes(32)).read_bytes())
    generator = random.Random(0)
    refusals = 0
    for number in range(900):
        mutant = bytearray(originals[number % 3])
        for _ in range(generator.randint(1, 4)):
            mutant[generator.randrange(len(mutant))] = generator.randrange(256)
        if number % 5 == 0:
            del mutant[generator.randrange(len(mutant)) :]
        path.write_bytes(mutant)
        try:
            read_foreign(path)
        except InputError:
            refusals += 1
    assert refusals > 450
