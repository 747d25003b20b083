"""Files of torch.save: what they say is in them, and where its numbers lie.

torch.load is not used, not even with `weights_only`: it makes a tensor as soon as the file asks for
one, so a file of a few kilobytes can ask for any amount of memory. Here the pickle becomes a
description first; numbers are read afterwards, only those of tensors that are wanted.
"""

from collections.abc import Mapping
from typing import Any, BinaryIO, NamedTuple

from dualseg.checkpoints.foreign.containers import SAVE_AGAIN, require_torch_zip
from dualseg.checkpoints.foreign.limits import MAX_TENSORS, RefusalError
from dualseg.checkpoints.foreign.pickle_machine import PickleMachine
from dualseg.checkpoints.foreign.records import StorageRecord, dtype_of, resolve
from dualseg.checkpoints.foreign.zip_archive import Member, list_members

ITEM_SIZES = {
    "float64": 8,
    "float32": 4,
    "float16": 2,
    "bfloat16": 2,
    "int64": 8,
    "int32": 4,
    "int16": 2,
    "int8": 1,
    "uint8": 1,
    "bool": 1,
}
LEGACY_PROTOCOL = 1001


class TorchContent(NamedTuple):
    """The object of a torch.save, with records for tensors, and the place of each storage."""

    content: Any
    storages: Mapping[str, Member]


class Storages:
    """Understands torch's persistent ids; one for each file, so that it can count."""

    def __init__(self) -> None:
        self.seen = 0
        self.lengths: dict[str, int] = {}

    def find(self, persistent_id: Any) -> StorageRecord:
        """The storage that ('storage', type, key, location, length) names.

        Raises:
            RefusalError: It is something else, or there are too many.
        """
        self.seen += 1
        if self.seen > MAX_TENSORS:
            raise RefusalError(f"it holds more than {MAX_TENSORS:,} tensors")
        if not isinstance(persistent_id, tuple) or len(persistent_id) < 5:
            raise RefusalError("its pickle refers to something that is no storage")
        kind, storage_type, key, _, length = persistent_id[:5]
        if kind == "module":
            raise RefusalError(f"it is a whole pickled network; {SAVE_AGAIN}")
        if kind != "storage" or not isinstance(key, str) or type(length) is not int or length < 0:
            raise RefusalError("its pickle refers to something that is no storage")
        if persistent_id[5:] not in ((), (None,)):
            raise RefusalError(f"it holds a view of a storage, as torch 0.1 wrote; {SAVE_AGAIN}")
        dtype = dtype_of(storage_type)
        num_bytes = length * ITEM_SIZES[dtype]
        if self.lengths.setdefault(key, num_bytes) != num_bytes:
            raise RefusalError(f"storage {key[:100]} has two lengths")
        return StorageRecord(key, dtype, length)


def read_torch_zip(file: BinaryIO, file_size: int) -> TorchContent:
    """The zip archive that torch.save writes since 1.6.

    Raises:
        RefusalError: It is damaged, a bomb, or something else than a torch.save of plain content.
    """
    members = list_members(file, file_size)
    folder = require_torch_zip(members)
    byte_order = members.get(f"{folder}byteorder")
    if byte_order is not None and _read(file, byte_order, 16) != b"little":
        raise RefusalError(f"its numbers are big-endian; {SAVE_AGAIN} on a little-endian machine")
    pickle = members[f"{folder}data.pkl"]
    file.seek(pickle.start)
    storages = Storages()
    machine = PickleMachine(file, resolve=resolve, find_storage=storages.find)
    content = machine.load()
    if file.tell() > pickle.start + pickle.size:
        raise RefusalError("its pickle does not end where the archive says")
    places: dict[str, Member] = {}
    for key, num_bytes in storages.lengths.items():
        member = members.get(f"{folder}data/{key}")
        if member is None:
            raise RefusalError(f"the numbers of storage {key[:100]} are missing")
        if member.size != num_bytes:
            raise RefusalError(
                f"storage {key[:100]} has {member.size:,} bytes instead of {num_bytes:,}"
            )
        places[key] = member
    return TorchContent(content, places)


def read_torch_legacy(file: BinaryIO, file_size: int) -> TorchContent:
    """The row of pickles and numbers that torch.save wrote before 1.6.

    Raises:
        RefusalError: As `read_torch_zip`.
    """
    file.seek(0)
    storages = Storages()

    def load() -> Any:
        return PickleMachine(file, resolve=resolve, find_storage=storages.find).load()

    load()  # the magic number, by which the file was recognised
    if load() != LEGACY_PROTOCOL:
        raise RefusalError(f"it is of a version of torch that is not known; {SAVE_AGAIN}")
    system = load()
    if not isinstance(system, dict) or system.get("little_endian") is not True:
        raise RefusalError(f"its numbers are big-endian; {SAVE_AGAIN} on a little-endian machine")
    content = load()
    keys = load()
    if not isinstance(keys, list) or set(map(str, keys)) != set(storages.lengths):
        raise RefusalError("its list of storages does not fit its tensors")
    places: dict[str, Member] = {}
    for key in keys:
        start, size = file.tell() + 8, storages.lengths[key]
        count = int.from_bytes(file.read(8), "little")
        if start + size > file_size or (count and size % count):
            raise RefusalError("it ends before its numbers do; the file is cut off")
        places[key] = Member(start, size, 0)
        file.seek(start + size)
    return TorchContent(content, places)


def _read(file: BinaryIO, member: Member, most: int) -> bytes:
    file.seek(member.start)
    return file.read(min(member.size, most))
