"""What a label file holds, before anyone says what it means: ids, gray levels or colours."""

import os
import time
from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path
from typing import Literal, NamedTuple

import numpy as np
from numpy.typing import NDArray

from dualseg.core.errors import InputError
from dualseg.core.geometry import Size
from dualseg.core.image_spec import MAX_PIXELS
from dualseg.data.checking.check_records import FileRecords, Row, default_records_folder
from dualseg.data.dataset import RawValues, count_values
from dualseg.data.faults import PictureError
from dualseg.data.labels.color_labels import pack_colors
from dualseg.data.pictures.images import read_image, read_label_values, read_palette
from dualseg.data.pictures.picture_files import opened
from dualseg.data.scanning import in_order

MASK = "mask"  # the kind of these rows among the records
MOST_COLORS = 256  # so many are kept one by one; photographs have more
JPEG_START = b"\xff\xd8\xff"
WEBP_LOSSY, WEBP_LOSSLESS = b"VP8 ", b"VP8L"

MaskKind = Literal["ids", "gray", "colors"]
Progress = Callable[[int, int], object]


class MaskFacts(NamedTuple):
    """What a label file holds.

    Attributes:
        size: (height, width) as displayed.
        kind: ids: one number a pixel. gray: a colour picture whose channels are equal everywhere.
            colors: a colour picture.
        counts: Value -> pixels; colours as `pack_colors` numbers them, the most frequent ones.
        num_values: How many values or colours there are.
        alpha: Lowest and highest value of an alpha channel; None where there is none.
        lossy: Whether it is a JPEG or a lossy WebP, which smear every edge.
        colors: Value -> its colour in the file's palette, as `pack_colors` numbers them; only where
            no other index has that colour.
    """

    size: Size
    kind: MaskKind
    counts: dict[int, int]
    num_values: int
    alpha: tuple[int, int] | None
    lossy: bool
    colors: dict[int, int]


def scan_masks(
    masks: Sequence[Path],
    *,
    progress: Progress | None = None,
    records: Path | None = None,
    max_pixels: int = MAX_PIXELS,
) -> list[MaskFacts | InputError]:
    """Looks at every label file; those that have not changed since the last time are not decoded.

    Args:
        masks: The files.
        progress: Called with (done, total) before the first and after each.
        records: Folder where results are kept; the user's cache folder where not given.
        max_pixels: Larger ones are refused by their header.

    Returns:
        What each file holds, or why it cannot be read.
    """
    kept = FileRecords(records or default_records_folder())
    start, found = time.monotonic(), []
    if progress is not None:
        progress(0, len(masks))
    for facts in in_order(lambda i: _known_or_read(masks[i], kept, max_pixels), len(masks)):
        found.append(facts)
        if progress is not None:
            progress(len(found), len(masks))
    kept.save(seconds=time.monotonic() - start)
    return found


def read_mask_facts(path: Path, *, max_pixels: int = MAX_PIXELS) -> MaskFacts:
    """Decodes a label file and counts its values.

    Raises:
        InputError: It cannot be read, or holds fractions.
    """
    try:
        values = read_label_values(path, max_pixels=max_pixels)
    except PictureError as error:
        if not _is_of_colors(error):
            raise
        return _facts_of_colors(path, max_pixels)
    size = values.shape[0], values.shape[1]
    return facts_of_values(path, size, count_values(values), max_pixels=max_pixels)


def facts_of_values(
    path: Path, size: Size, counts: dict[int, int], *, max_pixels: int = MAX_PIXELS
) -> MaskFacts:
    """What a label file of one number a pixel holds, where its values are counted already.

    Args:
        path: The file, for what is not in its pixels.
        size: (height, width).
        counts: Value -> pixels.
        max_pixels: As for `read_label_values`.
    """
    colors = _colors_of(path, counts, max_pixels)
    return MaskFacts(size, "ids", counts, len(counts), None, _is_lossy(path), colors)


def read_gray_values(path: Path, *, max_pixels: int = MAX_PIXELS) -> RawValues:
    """The values of a label file, also where they stand in three equal channels.

    Returns:
        (H, W).

    Raises:
        InputError: As `read_label_values`, or the channels differ.
    """
    try:
        return read_label_values(path, max_pixels=max_pixels)
    except PictureError as error:
        if not _is_of_colors(error):
            raise
        pixels = read_image(path, max_pixels=max_pixels)
        if not _are_equal(pixels):
            raise
        return np.ascontiguousarray(pixels[..., 0])


def mask_row(facts: MaskFacts) -> Row:
    """Plain values, as the records keep them."""
    flat = [number for pair in facts.counts.items() for number in pair]
    colors = [number for pair in facts.colors.items() for number in pair]
    return [*facts.size, facts.kind, facts.num_values, facts.alpha, facts.lossy, colors, *flat]


def mask_facts(row: Row) -> MaskFacts:
    """The inverse of `mask_row`."""
    height, width, kind, num_values, alpha, lossy, colors, *flat = row
    counts, color_of = _by_value(flat), _by_value(colors)
    low_high = None if alpha is None else (alpha[0], alpha[1])
    return MaskFacts((height, width), kind, counts, num_values, low_high, lossy, color_of)


def _by_value(flat: Sequence[int]) -> dict[int, int]:
    return dict(zip(flat[0::2], flat[1::2], strict=True))


def _known_or_read(path: Path, records: FileRecords, max_pixels: int) -> MaskFacts | InputError:
    stamp, row = records.find(MASK, path)
    if row is not None:
        return mask_facts(row)
    try:
        facts = read_mask_facts(path, max_pixels=max_pixels)
    except InputError as error:
        return error
    records.keep(MASK, path, stamp, mask_row(facts))
    return facts


def _facts_of_colors(path: Path, max_pixels: int) -> MaskFacts:
    pixels = read_image(path, max_pixels=max_pixels)
    size = pixels.shape[0], pixels.shape[1]
    if _are_equal(pixels):
        counts = count_values(pixels[..., 0])
        alpha = _alpha(path, max_pixels)
        return MaskFacts(size, "gray", counts, len(counts), alpha, _is_lossy(path), {})
    values, numbers = np.unique(pack_colors(pixels), return_counts=True)
    most = np.argsort(-numbers, kind="stable")[:MOST_COLORS]
    counts = dict(zip(values[most].tolist(), numbers[most].tolist(), strict=True))
    alpha = _alpha(path, max_pixels)
    return MaskFacts(size, "colors", counts, len(values), alpha, _is_lossy(path), {})


def _is_of_colors(error: PictureError) -> bool:
    return error.fault.code == "E104" and "colour" in error.fault.found


def _are_equal(pixels: NDArray[np.uint8]) -> bool:
    red = pixels[..., 0]
    return bool((red == pixels[..., 1]).all() and (red == pixels[..., 2]).all())


def _alpha(path: Path, max_pixels: int) -> tuple[int, int] | None:
    with opened(path, max_pixels=max_pixels) as image:
        if "A" not in image.getbands():
            return None
        low, high = image.getchannel("A").getextrema()
    return int(low), int(high)  # type: ignore[arg-type]


def _colors_of(path: Path, values: Iterable[int], max_pixels: int) -> dict[int, int]:
    palette = read_palette(path, max_pixels=max_pixels) or ()
    number = Counter(palette)
    return {
        value: int(pack_colors(np.array(palette[value])))
        for value in sorted(values)
        if value < len(palette) and number[palette[value]] == 1
    }


def _is_lossy(path: Path) -> bool:
    """By its content: under the name of a PNG, smeared ids would be taken for true ones."""
    with open(path, "rb") as file:
        start = file.read(12)
        if start[:4] != b"RIFF" or start[8:] != b"WEBP":
            return start.startswith(JPEG_START)
        while len(head := file.read(8)) == 8:
            if head[:4] in (WEBP_LOSSY, WEBP_LOSSLESS):
                return head[:4] == WEBP_LOSSY
            length = int.from_bytes(head[4:], "little")
            file.seek(length + length % 2, os.SEEK_CUR)
    return False
