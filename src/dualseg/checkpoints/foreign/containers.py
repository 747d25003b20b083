"""What kind of file it is, by its first bytes and never by its name."""

import re
from collections.abc import Collection
from typing import BinaryIO, Literal

from dualseg.checkpoints.foreign.limits import RefusalError

START_BYTES = 512
PLAIN_TEXT = re.compile(rb"[ -~\s]*")
TORCH_LEGACY_MAGIC = b"\x8a\x0a\x6c\xfc\x9c\x46\xf9\x20\x6a\xa8\x50\x19"  # as a pickled number
SAVE_AGAIN = "where you trust it, save `model.state_dict()` alone with torch.save"

# The start of a file, what it is, and what to do.
OTHERS: tuple[tuple[bytes, str, str], ...] = (
    (b"\x93NUMPY", "a numpy array", "give a state dict as .safetensors or .pth"),
    (b"\x89HDF", "an HDF5 file (Keras, MATLAB)", "only PyTorch weights can be imported"),
    (b"\x1f\x8b", "compressed with gzip", "unpack it first"),
    (b"BZh", "compressed with bzip2", "unpack it first"),
    (b"\xfd7zXZ", "compressed with xz", "unpack it first"),
    (b"\x28\xb5\x2f\xfd", "compressed with zstd", "unpack it first"),
    (b"GGUF", "a GGUF language model", "it is no segmentation network"),
    (b"version https://git-lfs", "a Git LFS pointer", "fetch the file itself with `git lfs pull`"),
    (b"<", "a web page", "the download failed; download it again"),
    (b"{", "a text (JSON)", "give the weights file that belongs to it"),
)


Container = Literal["safetensors", "torch zip", "torch legacy"]


def identify(file: BinaryIO) -> Container:
    """By the first bytes alone; whether a zip archive is torch's shows in its list of members.

    Raises:
        RefusalError: It is anything else; the message says what, and what to do.
    """
    file.seek(0)
    start = file.read(START_BYTES)
    if not start:
        raise RefusalError("the file is empty; download or copy it again")
    if start.startswith(b"PK\x03\x04"):
        return "torch zip"
    if start[:1] == b"\x80" and TORCH_LEGACY_MAGIC in start[:32]:
        return "torch legacy"
    if start[8:9] == b"{" and not PLAIN_TEXT.fullmatch(start[:8]):
        return "safetensors"
    if start[257:262] == b"ustar":
        raise RefusalError(
            "it is a tar archive, as torch 0.1 wrote them or as data is packed; unpack "
            f"it, or {SAVE_AGAIN}"
        )
    for magic, what, advice in OTHERS:
        if start.startswith(magic):
            raise RefusalError(f"it is {what}; {advice}")
    if start[:1] in (b"\x80", b"(", b"c", b"]", b"}"):
        raise RefusalError(f"it is a plain Python pickle, which is never opened; {SAVE_AGAIN}")
    raise RefusalError("it is no weights file that is known here; give a .safetensors or .pth file")


def require_torch_zip(names: Collection[str]) -> str:
    """The folder inside a zip archive that torch.save wrote, with its slash.

    Raises:
        RefusalError: Something else wrote it.
    """
    last_parts = {name.rpartition("/")[2] for name in names}
    if "constants.pkl" in last_parts or any("/code/" in f"/{name}" for name in names):
        raise RefusalError(f"it is a TorchScript archive, which holds a program; {SAVE_AGAIN}")
    if "archive_format" in last_parts or "serialized_exported_program.json" in last_parts:
        raise RefusalError(f"it is an exported program, which is never opened; {SAVE_AGAIN}")
    if any(part.endswith(".npy") for part in last_parts):
        raise RefusalError("it is a numpy archive (.npz); give a .safetensors or .pth file")
    pickles = [name for name in names if name.rpartition("/")[2] == "data.pkl"]
    if len(pickles) != 1:
        raise RefusalError(f"it is a zip archive that torch.save did not write; {SAVE_AGAIN}")
    return pickles[0].removesuffix("data.pkl")
