"""A file of several pictures is refused, wherever pictures are read."""

import struct
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image
from PIL.TiffImagePlugin import ImageFileDirectory_v2

from dualseg.core.errors import InputError
from dualseg.core.image_spec import ImageSpec
from dualseg.data.pictures.bands import read_part, read_pixels
from dualseg.data.pictures.images import (
    inspect_image,
    read_image,
    read_label_values,
    read_palette,
    read_size,
)
from dualseg.data.pictures.tiff_pages import count_pages
from dualseg.data.pictures.tiff_pixels import Window

DEEP = ImageSpec(max_value=65535.0)
READERS = {
    "image": read_image,
    "labels": read_label_values,
    "palette": read_palette,
    "size": read_size,
    "inspection": inspect_image,
    "pixels": lambda path: read_pixels(path, ImageSpec()),
    "bands": lambda path: read_pixels(path, DEEP),
    "part": lambda path: read_part(path, DEEP, Window(0, 0, 2, 2)),
}


def frames(mode: str = "RGB") -> list[Image.Image]:
    return [Image.new(mode, (8, 6), color) for color in ("black", "gray", "white")]


def save_all(path: Path, pictures: Sequence[Image.Image], **options: Any) -> Path:
    first, *others = pictures
    first.save(path, save_all=True, append_images=others, **options)
    return path


@pytest.mark.parametrize("read", READERS)
@pytest.mark.parametrize("suffix", [".tif", ".webp", ".png"])
def test_several_pages_are_refused(tmp_path: Path, suffix: str, read: str) -> None:
    mode = "L" if read == "labels" and suffix != ".webp" else "RGB"
    path = save_all(tmp_path / f"x{suffix}", frames(mode))
    with pytest.raises(
        InputError, match=r"x.* has 3 pages or frames; .*save each as a file of its"
    ):
        READERS[read](path)


@pytest.mark.parametrize("suffix", [".tif", ".webp", ".png"])
def test_one_page_is_read(tmp_path: Path, suffix: str) -> None:
    path = save_all(tmp_path / f"x{suffix}", frames()[2:])
    assert (read_image(path) == 255).all()


@pytest.mark.parametrize(("kind", "pages"), [(1, 1), (4, 1), (5, 1), (0, 2), (2, 2)])
@pytest.mark.parametrize("big", [False, True])
def test_overviews_and_masks_of_a_tiff_are_no_pages(
    tmp_path: Path, kind: int, pages: int, big: bool
) -> None:
    """As in cloud-optimised GeoTIFFs. Bit 2: a page of many, as ImageMagick writes it."""
    first, second = frames()[:2]
    tags = ImageFileDirectory_v2()
    tags[254] = kind
    second.encoderinfo = {"tiffinfo": tags}
    path = save_all(tmp_path / "x.tif", [first, second], big_tiff=big)
    assert count_pages(path) == pages
    if pages == 1:
        assert read_pixels(path, DEEP).shape == (6, 8, 3)
        assert (read_image(path) == 0).all()


def test_the_second_view_in_a_jpeg_is_no_page(tmp_path: Path) -> None:
    path = save_all(tmp_path / "x.jpg", frames()[::2], format="MPO")
    assert read_image(path).shape == (6, 8, 3)


@pytest.mark.parametrize("next_one", [8, 7, 1 << 20, (1 << 32) - 1])
def test_a_chain_that_leads_nowhere_adds_no_page(tmp_path: Path, next_one: int) -> None:
    """Back to the start, into the header, beyond the file: some writers leave rubbish there."""
    path = tmp_path / "x.tif"
    frames()[0].save(path)
    content = bytearray(path.read_bytes())
    (start,) = struct.unpack("<I", content[4:8])
    (count,) = struct.unpack("<H", content[start : start + 2])
    end = start + 2 + 12 * count
    content[end : end + 4] = struct.pack("<I", next_one)
    path.write_bytes(content)
    assert count_pages(path) == 1
    assert (np.asarray(read_image(path)) == 0).all()
