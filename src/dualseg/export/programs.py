"""Files of torch.export (.pt2): written for other programs, and read without opening the program.

`torch.export.load` unpickles what a file calls pickled, hands texts of the file to `eval`, and
looks functions up by names in it; a file can so run any code. Facts and weights lie in the same
archive as plain text and plain numbers. They are all that is read here, and the network is built
anew.
"""

import io
import json
import re
import warnings
import zipfile
from collections.abc import Mapping
from math import prod
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn
from torch.export import ExportedProgram, save

from dualseg.core.errors import InputError
from dualseg.core.files import write_atomic
from dualseg.core.geometry import Size
from dualseg.export.tracing import trace

MAX_TEXT_BYTES = 50_000_000
DTYPES = {5: torch.int64, 7: torch.float32}  # the numbers that torch's own schema gives them
PREFIX = "network.model."
DAMAGE = (zipfile.BadZipFile, EOFError, KeyError, TypeError, ValueError, RuntimeError, OSError)


class Program(nn.Module):
    """What a .pt2 file computes: images -> {"logits", "label_map"}.

    Args:
        preprocessing: From images to the network's input.
        network: The part with the weights.
        tail: From logits and images to label maps; None: logits alone.
        is_bf16: The network runs under autocast.

    Shape: (B, C, H, W) uint8 -> logits (B, K, ., .), label_map (B, H, W) uint8
    """

    def __init__(
        self,
        preprocessing: nn.Module,
        network: nn.Module,
        tail: nn.Module | None,
        *,
        is_bf16: bool,
    ):
        super().__init__()
        self.preprocessing = preprocessing
        self.network = network
        self.tail = tail
        self.is_bf16 = is_bf16

    def forward(self, images: Tensor) -> dict[str, Tensor]:
        inputs = self.preprocessing(images)
        if self.is_bf16:
            with torch.autocast("cpu", torch.bfloat16):
                logits = self.network(inputs)
        else:
            logits = self.network(inputs)
        outputs = {"logits": logits.float()}
        if self.tail is not None:
            outputs["label_map"] = self.tail(outputs["logits"], images)
        return outputs


def program_of(whole: Program, images: Tensor, *, fixed: Size | None) -> ExportedProgram:
    """Its program, without notes about source files of this machine."""
    program = trace(whole, {"images": images}, fixed=fixed)
    for node in program.graph.nodes:
        for note in ("stack_trace", "nn_module_stack", "source_fn_stack", "torch_fn"):
            node.meta.pop(note, None)
    return program


def write_pt2(program: ExportedProgram, path: Path, texts: Mapping[str, str]) -> None:
    """The program with texts beside it, which `torch.export.load` hands out as `extra_files`.

    It is made in memory: torch ends the whole process where a disk is full.
    """
    content = io.BytesIO()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of weights that share memory
        save(program, content, extra_files=dict(texts))
    write_atomic(path, lambda file: file.write(content.getbuffer()))


def read_texts(path: Path, keys: tuple[str, ...]) -> dict[str, str]:
    """Those of the texts that are there.

    Raises:
        InputError: It is no such file.
    """
    with _opened(path) as archive:
        top = _top(archive)
        names = {key: f"{top}extra/{key}" for key in keys}
        have = set(archive.namelist())
        return {k: _text(archive, name) for k, name in names.items() if name in have}


def read_weights(path: Path) -> dict[str, Tensor]:
    """The network's weights by their names in it.

    Raises:
        InputError: It is damaged, or a weight is anything but plain numbers.
    """
    with _opened(path) as archive:
        place = f"{_top(archive)}data/weights/"
        listed = json.loads(_text(archive, f"{place}model_weights_config.json"))["config"]
        return {
            name.removeprefix(PREFIX): _tensor(archive, place, name, entry)
            for name, entry in listed.items()
            if name.startswith(PREFIX)
        }


class _opened:  # noqa: N801 (reads as a function)
    """The archive; whatever is wrong with it becomes one InputError."""

    def __init__(self, path: Path):
        self.path = path

    def __enter__(self) -> zipfile.ZipFile:
        try:
            self.archive = zipfile.ZipFile(self.path)
        except DAMAGE as error:
            raise self._damaged(error) from None
        return self.archive

    def __exit__(self, kind: Any, error: BaseException | None, _trace: Any) -> None:
        self.archive.close()
        if isinstance(error, (*DAMAGE, RecursionError)) and not isinstance(error, InputError):
            raise self._damaged(error) from None

    def _damaged(self, error: BaseException) -> InputError:
        what = f"{type(error).__name__}: {error}".splitlines()[0][:200]
        return InputError(f"{self.path} is no whole .pt2 file ({what}); export it again")


def _top(archive: zipfile.ZipFile) -> str:
    """The one folder everything lies in."""
    return archive.namelist()[0].split("/")[0] + "/" if archive.namelist() else ""


def _text(archive: zipfile.ZipFile, name: str) -> str:
    return _bytes(archive, name, MAX_TEXT_BYTES).decode()


def _bytes(archive: zipfile.ZipFile, name: str, limit: int) -> bytes:
    """Nothing is unpacked, so that no file grows beyond its own size."""
    info = archive.getinfo(name)
    if info.compress_type != zipfile.ZIP_STORED or info.file_size > limit:
        raise ValueError(f"{name} is compressed or larger than {limit:,} bytes")
    return archive.read(name)


def _tensor(archive: zipfile.ZipFile, place: str, name: str, entry: Any) -> Tensor:
    meta = entry["tensor_meta"]
    if entry["use_pickle"] or not re.fullmatch(r"weight_\d+", entry["path_name"]) or not meta:
        raise ValueError(f"weight {name} is a pickle, which could run code")
    if meta["dtype"] not in DTYPES:
        raise ValueError(f"weight {name} has a type of another version")
    size, strides = ([_count(side["as_int"]) for side in meta[key]] for key in ("sizes", "strides"))
    dtype = DTYPES[meta["dtype"]]
    num_bytes = prod(size) * dtype.itemsize
    content = bytearray(_bytes(archive, place + entry["path_name"], num_bytes))
    offset = _count(meta["storage_offset"]["as_int"])
    if len(content) != num_bytes:
        raise ValueError(f"weight {name} has {len(content):,} bytes, its shape {num_bytes:,}")
    if not content:
        return torch.empty(size, dtype=dtype)
    return torch.frombuffer(content, dtype=dtype).as_strided(size, strides, offset).contiguous()


def _count(number: Any) -> int:
    if type(number) is not int or number < 0:
        raise ValueError(f"{number!r} is no count")
    return number
