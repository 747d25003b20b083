"""Files as other programs write them, and as attackers do, byte by byte."""

import json
import struct
import zipfile
from collections.abc import Mapping
from pathlib import Path

MAGIC = b"\x80\x02\x8a\nl\xfc\x9cF\xf9 j\xa8P\x19."


def text(value: str) -> bytes:
    """A pickled text."""
    return b"X" + struct.pack("<I", len(value.encode())) + value.encode()


def call(module: str, name: str, argument: str) -> bytes:
    """A pickle (without its end) of module.name(argument)."""
    return f"c{module}\n{name}\n".encode() + text(argument) + b"\x85R"


def torch_zip(
    path: Path,
    pickle: bytes,
    storages: Mapping[str, bytes] | None = None,
    *,
    compression: int = zipfile.ZIP_STORED,
) -> Path:
    """What torch.save writes, around any pickle."""
    with zipfile.ZipFile(path, "w", compression) as archive:
        archive.writestr("archive/data.pkl", pickle)
        archive.writestr("archive/byteorder", b"little")
        for key, content in (storages or {}).items():
            archive.writestr(f"archive/data/{key}", content)
        archive.writestr("archive/version", b"3\n")
    return path


def tensor(
    key: str, length: int, size: tuple[int, ...], stride: tuple[int, ...], *, offset: int = 0
) -> bytes:
    """A pickle (without its end) of a float tensor, as torch.save writes it."""
    storage = b"(" + text("storage") + b"ctorch\nFloatStorage\n" + text(key) + text("cpu")
    storage += integer(length) + b"tQ"
    shape = b"(" + b"".join(map(integer, size)) + b"t(" + b"".join(map(integer, stride)) + b"t"
    start = b"ctorch._utils\n_rebuild_tensor_v2\n("
    return start + storage + integer(offset) + shape + b"\x89ccollections\nOrderedDict\n)RtR"


def integer(value: int) -> bytes:
    """A pickled whole number of up to eight bytes."""
    return b"\x8a\x09" + value.to_bytes(9, "little", signed=True)


def state_dict(entries: Mapping[str, bytes]) -> bytes:
    """A whole pickle of a dictionary of pickled values."""
    items = b"".join(text(name) + value for name, value in entries.items())
    return b"\x80\x02}(" + items + b"u."


def safetensors_file(path: Path, header: Mapping[str, object] | bytes, content: bytes) -> Path:
    """A header and numbers, right or wrong."""
    text = header if isinstance(header, bytes) else json.dumps(header).encode()
    path.write_bytes(struct.pack("<Q", len(text)) + text + content)
    return path


def entry(start: int, stop: int, shape: list[int] | None = None, dtype: str = "F32") -> dict:
    """A tensor of a safetensors header."""
    return {
        "dtype": dtype,
        "shape": [(stop - start) // 4] if shape is None else shape,
        "data_offsets": [start, stop],
    }
