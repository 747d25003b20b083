"""Reads checkpoints of other programs. Nothing in a file can name code that would be run."""

import os
import stat
from collections.abc import Mapping
from pathlib import Path
from typing import BinaryIO

from torch import Tensor

from dualseg.checkpoints.checksums import sha256_of
from dualseg.checkpoints.foreign.checkpoint import ForeignCheckpoint
from dualseg.checkpoints.foreign.containers import SAVE_AGAIN, Container, identify
from dualseg.checkpoints.foreign.limits import RefusalError
from dualseg.checkpoints.foreign.materialize import read_records
from dualseg.checkpoints.foreign.peel import Peeled, peel
from dualseg.checkpoints.foreign.plain import PlainValues
from dualseg.checkpoints.foreign.safetensors_files import METADATA, read_header, read_numbers
from dualseg.checkpoints.foreign.torch_files import read_torch_legacy, read_torch_zip
from dualseg.checkpoints.json_files import read_json
from dualseg.core.errors import InputError
from dualseg.core.finite import NOT_FINITE, TOO_LARGE, number_fault
from dualseg.core.memory import without_cycle_search

WEIGHTS_IN_FOLDER = ("model.safetensors", "pytorch_model.bin")
CONFIG_FILE = "config.json"


def read_foreign(path: str | Path) -> ForeignCheckpoint:
    """The state dict of a file that another library wrote, and the plain values beside it.

    Args:
        path: A file of `torch.save` (any name, new or old form) or safetensors; or a folder with
            `model.safetensors` and `config.json`, as the Hugging Face hub has them.

    Raises:
        InputError: There is nothing, or it is not read: another format, damaged, far larger inside
            than outside, with weights that are no finite float32, or holding more than numbers and
            plain values. The message gives the reason in one line.
    """
    path = Path(path)
    file_path = _weights_file(path)
    try:
        with without_cycle_search():
            container, peeled, tensors = _read_file(file_path)
            meta = PlainValues()(peeled.rest)
        _require_finite(tensors)
    except RefusalError as refusal:
        raise InputError(f"{file_path}: {refusal}") from None
    except OSError as error:
        raise InputError(f"cannot read {file_path}: {error.strerror or error}") from None
    if file_path != path and (path / CONFIG_FILE).is_file():
        meta = {**meta, "config": read_json(path / CONFIG_FILE)}
    return ForeignCheckpoint(
        path=path,
        sha256=sha256_of(file_path),
        container=container,
        tensors=tensors,
        meta=meta,
        notes=peeled.notes,
    )


def _weights_file(path: Path) -> Path:
    if not path.exists():
        raise InputError(f"there is no file or folder {path}")
    if not path.is_dir():
        return path
    if (path / ".metadata").exists():
        raise InputError(
            f"{path}: it is a distributed checkpoint, whose index can run code; {SAVE_AGAIN}"
        )
    if (path / "model.safetensors.index.json").exists():
        raise InputError(f"{path}: its weights are in several files; join them into one")
    for name in WEIGHTS_IN_FOLDER:
        if (path / name).is_file():
            return path / name
    raise InputError(f"{path} holds neither of {', '.join(WEIGHTS_IN_FOLDER)}; name the file")


def _require_finite(tensors: Mapping[str, Tensor]) -> None:
    faults = {name: number_fault(tensor) for name, tensor in tensors.items()}
    for fault in (NOT_FINITE, TOO_LARGE):
        bad = [name for name, found in faults.items() if found == fault]
        if bad:
            raise RefusalError(
                f"{len(bad)} of its {len(tensors)} tensors hold {fault}, the first is "
                f"{bad[0][:100]!r}; take an earlier checkpoint"
            )


def _read_file(path: Path) -> tuple[Container, Peeled, dict[str, Tensor]]:
    status = os.stat(path)
    if not stat.S_ISREG(status.st_mode):
        raise RefusalError("it is no ordinary file")
    size = status.st_size
    with open(path, "rb") as file:
        container = identify(file)
        if container == "safetensors":
            return container, *_read_safetensors(file, path, size)
        return container, *_read_torch(file, container, size)


def _read_safetensors(file: BinaryIO, path: Path, size: int) -> tuple[Peeled, dict[str, Tensor]]:
    header = read_header(file, size)
    metadata = header.pop(METADATA, {})
    peeled = peel(read_numbers(path))
    return peeled._replace(rest={"metadata": metadata}), peeled.tensors


def _read_torch(
    file: BinaryIO, container: Container, size: int
) -> tuple[Peeled, dict[str, Tensor]]:
    read = read_torch_zip if container == "torch zip" else read_torch_legacy
    content, storages = read(file, size)
    peeled = peel(content)
    return peeled, read_records(peeled.tensors, storages, file, size)


__all__ = ["ForeignCheckpoint", "read_foreign"]
