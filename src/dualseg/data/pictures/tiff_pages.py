"""How many pictures a TIFF holds, by the chain of its directories; no pixel is read."""

import struct
from pathlib import Path
from typing import BinaryIO, NamedTuple

MAX_TAGS = 10_000  # about twenty are usual
MAX_DIRECTORIES = 10_000
WIDTH, NEW_SUBFILE_TYPE, SUBFILE_TYPE = 256, 254, 255
REDUCED, MASK = 1, 4  # bits of NEW_SUBFILE_TYPE; 2, a page of many, is a picture
OLD_REDUCED = 2


class _Form(NamedTuple):
    """How a file writes its numbers, as `struct` calls it."""

    pointer: str
    length: str
    entry: str


def count_pages(path: Path) -> int:
    """Pages of a TIFF; overviews, thumbnails and masks, which say that they are, do not count.

    What lies behind damage is not counted.
    """
    with open(path, "rb") as file:
        head = file.read(16)
        order = "<" if head[:2] == b"II" else ">"
        form = _Form(f"{order}I", f"{order}H", f"{order}HHI4s")
        start = head[4:8]
        if 43 in head[2:4]:
            form, start = _Form(f"{order}Q", f"{order}Q", f"{order}HHQ8s"), head[8:16]
        pages, seen = 0, set()
        try:
            (offset,) = struct.unpack(form.pointer, start)
            while offset and offset not in seen and len(seen) < MAX_DIRECTORIES:
                seen.add(offset)
                tags, offset = _directory(file, offset, form)
                pages += _is_page(tags)
        except (OSError, OverflowError, struct.error):
            pass
    return pages


def _directory(file: BinaryIO, offset: int, form: _Form) -> tuple[dict[int, int], int]:
    """Tag -> value of the single numbers in a directory, and where the next one is.

    Raises:
        struct.error: It is cut off, or none.
    """
    file.seek(offset)
    (count,) = struct.unpack(form.length, file.read(struct.calcsize(form.length)))
    if count > MAX_TAGS:
        raise struct.error
    content = file.read(count * struct.calcsize(form.entry))
    tags = {
        tag: struct.unpack_from(f"{form.entry[0]}{'H' if kind == 3 else 'I'}", value)[0]
        for tag, kind, _, value in struct.iter_unpack(form.entry, content)
    }
    return tags, struct.unpack(form.pointer, file.read(struct.calcsize(form.pointer)))[0]


def _is_page(tags: dict[int, int]) -> bool:
    is_small = tags.get(SUBFILE_TYPE) == OLD_REDUCED
    return WIDTH in tags and not is_small and not tags.get(NEW_SUBFILE_TYPE, 0) & (REDUCED | MASK)
