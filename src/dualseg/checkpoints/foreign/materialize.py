"""From checked records to tensors: sizes first, memory afterwards."""

import math
import zlib
from collections.abc import Mapping
from typing import BinaryIO

import torch
from torch import Tensor

from dualseg.checkpoints.foreign.limits import MAX_GROWTH, MAX_TENSORS, RefusalError, printable
from dualseg.checkpoints.foreign.records import TensorRecord
from dualseg.checkpoints.foreign.torch_files import ITEM_SIZES
from dualseg.checkpoints.foreign.zip_archive import Member


def read_records(
    records: Mapping[str, TensorRecord],
    storages: Mapping[str, Member],
    file: BinaryIO,
    file_size: int,
) -> dict[str, Tensor]:
    """The numbers of these tensors. Tensors that shared a storage share memory.

    Raises:
        RefusalError: A tensor reaches beyond its storage or overlaps itself, the numbers have
            changed since they were written, or together they are far larger than the file.
    """
    if len(records) > MAX_TENSORS:
        raise RefusalError(f"it holds more than {MAX_TENSORS:,} tensors")
    total = 0
    for name, record in records.items():
        _require_within(name, record, storages[record.storage.key].size)
        total += math.prod(record.shape) * ITEM_SIZES[record.dtype]
    if total > MAX_GROWTH * file_size:
        raise RefusalError(f"its tensors would take {total:,} bytes, the file has {file_size:,}")
    read: dict[str, bytearray] = {}
    tensors: dict[str, Tensor] = {}
    for name, record in records.items():
        key = record.storage.key
        if key not in read:
            read[key] = _read_storage(file, storages[key], key)
        tensors[name] = _view(read[key], record)
    return tensors


def _require_within(name: str, record: TensorRecord, num_bytes: int) -> None:
    """Every number has a place of its own within the storage."""
    last, dense = record.offset, 1
    for size, stride in sorted(
        zip(record.shape, record.strides, strict=True), key=lambda pair: pair[1]
    ):
        if size == 0:
            return
        if size == 1:
            continue
        if stride < dense:
            raise RefusalError(
                f"{printable(name)} of shape {record.shape} has strides {record.strides}: several "
                "of its numbers are the same place in memory"
            )
        last += (size - 1) * stride
        dense = stride * size
    if (last + 1) * ITEM_SIZES[record.dtype] > num_bytes:
        raise RefusalError(f"{printable(name)} of shape {record.shape} reaches beyond its storage")


def _read_storage(file: BinaryIO, member: Member, key: str) -> bytearray:
    content = bytearray(member.size)
    file.seek(member.start)
    if file.readinto(content) != member.size:  # type: ignore[attr-defined]
        raise RefusalError(f"it ends within storage {key[:100]}; the file is cut off")
    if member.crc and zlib.crc32(content) != member.crc:  # 0: written without checksums
        raise RefusalError(f"storage {key[:100]} has changed since it was written (CRC differs)")
    return content


def _view(content: bytearray, record: TensorRecord) -> Tensor:
    dtype = getattr(torch, record.dtype)
    if not content or 0 in record.shape:
        return torch.empty(record.shape, dtype=dtype)
    count = len(content) // ITEM_SIZES[record.dtype]
    flat = torch.frombuffer(content, dtype=dtype, count=count)
    return flat.as_strided(record.shape, record.strides, record.offset)
