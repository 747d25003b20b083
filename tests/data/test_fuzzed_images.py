"""Mutated pictures: read or refused by name, never another error, never a hang."""

import random
import time
from io import BytesIO
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from dualseg.core.errors import InputError
from dualseg.core.labels import LabelSpec
from dualseg.data.checking.checker import check_dataset
from dualseg.data.dataset import FileDataset, Pair
from dualseg.data.faults import PictureError
from dualseg.data.pictures.images import (
    inspect_image,
    read_image,
    read_label_values,
    read_palette,
    read_size,
)

READERS = (read_image, read_label_values, read_size, inspect_image, read_palette)
SECONDS_AT_MOST = 5.0


def _seeds() -> list[tuple[str, bytes]]:
    """Small pictures of every format and of several kinds."""
    generator = np.random.default_rng(0)
    noise = generator.integers(0, 255, (24, 20, 3), dtype=np.uint8)
    ids = generator.integers(0, 4, (24, 20), dtype=np.uint8)
    exif = Image.Exif()
    exif[0x0112] = 6
    picture, label = Image.fromarray(noise), Image.fromarray(ids)
    palette = label.copy()
    palette.putpalette(list(range(12)))
    wide = Image.fromarray(ids.astype(np.uint16) * 9000)
    kinds = [
        (".png", picture, {"exif": exif}),
        (".png", palette, {}),
        (".png", wide, {}),
        (".jpg", picture, {"exif": exif}),
        (".jpg", picture, {"progressive": True}),
        (".jpg", picture.convert("CMYK"), {}),
        (".tif", picture, {}),
        (".tif", label, {"compression": "tiff_lzw"}),
        (".tif", wide, {"compression": "tiff_adobe_deflate"}),
        (".bmp", picture, {}),
        (".bmp", palette, {}),
        (".webp", picture, {"lossless": True, "exif": exif}),
        (".webp", picture, {}),
    ]
    formats = {".png": "PNG", ".jpg": "JPEG", ".tif": "TIFF", ".bmp": "BMP", ".webp": "WEBP"}
    seeds = []
    for suffix, image, options in kinds:
        buffer = BytesIO()
        image.save(buffer, formats[suffix], **options)
        seeds.append((suffix, buffer.getvalue()))
    return seeds


def _mutated(whole: bytes, chance: random.Random) -> bytes:
    """Flipped, overwritten, cut, doubled or swapped; half of the time near the header."""
    content = bytearray(whole)
    for _ in range(chance.choice([1, 1, 2, 4, 12])):
        reach = min(len(content), 120) if chance.random() < 0.5 else len(content)
        place = chance.randrange(max(1, reach))
        action = chance.randrange(6)
        if action == 0:
            content[place : place + 1] = bytes([chance.randrange(256)])
        elif action == 1:
            content[place : place + 4] = chance.choice(
                [b"\0" * 4, b"\xff" * 4, b"\x7f\xff\xff\xff"]
            )
        elif action == 2:
            del content[place:]
        elif action == 3:
            del content[place : place + chance.randrange(1, 9)]
        elif action == 4:
            content[place:place] = content[place : place + chance.randrange(1, 40)]
        elif content:
            content[place : place + 1] = bytes([content[min(place, len(content) - 1)] ^ 0x80])
    return bytes(content)


def _fuzz(folder: Path, count: int, seed: int) -> tuple[int, int]:
    """Numbers of mutants that could be read as image, and of those refused."""
    chance, seeds = random.Random(seed), _seeds()
    read, refused = 0, 0
    for number in range(count):
        suffix, whole = seeds[number % len(seeds)]
        path = folder / f"mutant{suffix}"
        path.write_bytes(_mutated(whole, chance))
        for reader in READERS:
            begin = time.monotonic()
            try:
                reader(path)
                read += reader is read_image
            except PictureError as error:
                named = path.name in str(error) and error.fault.code[0] == "E"
                refused += reader is read_image
            else:
                named = True
            assert named, (number, reader)
            assert time.monotonic() - begin < SECONDS_AT_MOST, (number, reader)
    return read, refused


def test_a_few_hundred_mutants_are_read_or_refused(tmp_path: Path) -> None:
    read, refused = _fuzz(tmp_path, 390, seed=1)
    assert read > 20
    assert refused > 100


@pytest.mark.slow
def test_two_thousand_mutants_are_read_or_refused(tmp_path: Path) -> None:
    read, refused = _fuzz(tmp_path, 2000, seed=2)
    assert read + refused == 2000


def test_a_check_of_mutants_lists_them_and_changes_none(tmp_path: Path) -> None:
    chance, pairs = random.Random(3), []
    for number, (suffix, whole) in enumerate(_seeds() * 4):
        image, label = tmp_path / f"{number}{suffix}", tmp_path / f"{number}_label.png"
        image.write_bytes(_mutated(whole, chance))
        label.write_bytes(_mutated(_seeds()[1][1], chance))
        pairs.append(Pair(str(number), image, label))
    before = {path: (path.read_bytes(), path.stat().st_mtime_ns) for path in tmp_path.iterdir()}
    labels = LabelSpec(("a", "b"), ((0, 0, 0), (9, 9, 9)))
    with pytest.raises(InputError):
        check_dataset(FileDataset(tuple(pairs), labels, "train"), use_records=False)
    after = {path: (path.read_bytes(), path.stat().st_mtime_ns) for path in tmp_path.iterdir()}
    assert before == after
