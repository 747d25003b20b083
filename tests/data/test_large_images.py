"""400 million pixels where they are declared, and refused where they are not."""

import struct
from pathlib import Path

import numpy as np
import pytest
from pictures import bomb_header, gray, save
from PIL import Image

from dualseg.core.errors import InputError
from dualseg.core.image_spec import ImageSpec
from dualseg.core.labels import LabelSpec
from dualseg.data.dataset import FileDataset, Pair
from dualseg.data.loading import cache
from dualseg.data.loading.cache import CachedDataset, cached
from dualseg.data.loading.cache_stores import DiskStore
from dualseg.data.pictures.bands import read_part, read_pixels
from dualseg.data.pictures.images import inspect_image, read_label_values, read_size
from dualseg.data.pictures.tiff_pixels import Window

SIDE = 20_000
DECLARED = ImageSpec(max_pixels=SIDE * SIDE)


def sparse_tiff(path: Path, side: int, *, samples: int = 3) -> Path:
    """An uncompressed TIFF whose pixels are a hole in the file but for the last row, which is 9."""
    count = side * side * samples
    tags = [
        (256, side),
        (257, side),
        (258, 8),
        (259, 1),
        (262, 2 if samples == 3 else 1),
        (273, 512),
        (277, samples),
        (278, side),
        (279, count),
    ]
    if samples == 3:
        tags[2] = (258, 480)
    body = b"".join(
        struct.pack("<HHII", tag, 4, 3 if (tag, samples) == (258, 3) else 1, value)
        for tag, value in tags
    )
    head = b"II*\0" + struct.pack("<IH", 8, len(tags)) + body + bytes(4)
    with open(path, "wb") as file:
        file.write(head.ljust(480, b"\0") + struct.pack("<3I", 8, 8, 8))
        file.seek(512 + count - side * samples)
        file.write(b"\x09" * (side * samples))
    return path


@pytest.mark.parametrize(("width", "height"), [(20000, 20000), (13400, 13400)])
def test_the_message_says_what_to_declare(tmp_path: Path, width: int, height: int) -> None:
    path = tmp_path / "large.png"
    path.write_bytes(bomb_header(width, height))
    wanted = rf"large\.png is {width}x{height}.*write max_pixels: {width * height} in dataset\.yaml"
    with pytest.raises(InputError, match=wanted):
        read_pixels(path, ImageSpec())


def test_a_declared_header_of_400_million_pixels_is_accepted(tmp_path: Path) -> None:
    path = tmp_path / "large.png"
    path.write_bytes(bomb_header(SIDE, SIDE))
    assert read_size(path, DECLARED) == (SIDE, SIDE)


def test_a_declared_bomb_stays_refused(tmp_path: Path) -> None:
    path = tmp_path / "bomb.png"
    path.write_bytes(bomb_header(SIDE, SIDE))
    for read in (read_pixels, inspect_image):
        with pytest.raises(InputError, match="as bombs do"):
            read(path, DECLARED)


def test_more_than_is_declared_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "bomb.png"
    path.write_bytes(bomb_header(65535, 65535))
    with pytest.raises(InputError, match="is 65535x65535, more than 400,000,000 pixels"):
        read_pixels(path, DECLARED)


@pytest.mark.parametrize("suffix", ["png", "jpg", "tif", "bmp"])  # a WebP has 268 million at most
def test_an_image_beyond_pillows_limit_is_read_where_declared(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, suffix: str
) -> None:
    """Pillow refuses more than twice its limit; a small limit stands for a large image."""
    image = np.random.default_rng(0).integers(0, 255, (20, 30, 3), np.uint8)
    path = save(tmp_path / f"a.{suffix}", image)
    expected = read_pixels(path, ImageSpec())
    monkeypatch.setattr(Image, "MAX_IMAGE_PIXELS", 100)
    with pytest.raises(InputError, match="write max_pixels: 600 in"):
        read_pixels(path, ImageSpec(max_pixels=599))
    assert np.array_equal(read_pixels(path, DECLARED), expected)
    assert Image.MAX_IMAGE_PIXELS == 100
    assert inspect_image(path, DECLARED).size == (20, 30)


def test_labels_follow_the_limit_of_their_images(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    label = save(tmp_path / "a.png", np.eye(20))
    monkeypatch.setattr(Image, "MAX_IMAGE_PIXELS", 100)
    with pytest.raises(InputError, match="is 20x20, more than 399 pixels"):
        read_label_values(label, max_pixels=399)
    assert read_label_values(label, max_pixels=400).sum() == 20
    pair = Pair("a", label, label)
    labels = LabelSpec(("a", "b"), ((0, 0, 0), (9, 9, 9)))
    small = FileDataset((pair,), labels, "train", images=ImageSpec(max_pixels=399))
    with pytest.raises(InputError, match="more than 399 pixels"):
        small.label_map(0)
    assert FileDataset((pair,), labels, "train").label_map(0).sum() == 20


def test_a_tile_of_400_million_pixels_is_read_alone(tmp_path: Path) -> None:
    """Only the tile in the window is there; all others are holes of the file."""
    tile, across = 256, -(-SIDE // 256)
    offsets, counts = [0] * across**2, [0] * across**2
    offsets[-1], counts[-1] = 8, tile * tile
    numbers = struct.pack(f"<{2 * across**2}I", *offsets, *counts)
    start = 8 + tile * tile
    tags = [
        *((256, SIDE), (257, SIDE), (258, 8), (259, 1), (262, 1), (277, 1), (322, tile)),
        *((323, tile), (324, start), (325, start + 4 * across**2)),
    ]
    length = {324: across**2, 325: across**2}
    body = b"".join(struct.pack("<HHII", tag, 4, length.get(tag, 1), v) for tag, v in tags)
    head = b"II*\0" + struct.pack("<I", start + len(numbers))
    path = tmp_path / "a.tif"
    directory = struct.pack("<H", len(tags)) + body + bytes(4)
    path.write_bytes(head + b"\x09" * (tile * tile) + numbers + directory)
    part = read_part(path, DECLARED, Window(SIDE - 4, SIDE - 6, 4, 6))
    assert part.shape == (4, 6, 3)
    assert (part == 9).all()
    with pytest.raises(InputError, match="write max_pixels: 400000000"):
        read_part(path, ImageSpec(channels=(1,)), Window(0, 0, 8, 8))


def test_large_images_are_decoded_once_into_the_disk_cache(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    image = save(tmp_path / "a.png", gray(20, 20))
    label = save(tmp_path / "b.png", np.zeros((20, 20)))
    labels = LabelSpec(("a", "b"), ((0, 0, 0), (9, 9, 9)))
    dataset = FileDataset((Pair("a", image, label),), labels, "train")
    monkeypatch.setattr(cache, "AUTO_LIMIT_BYTES", 4 * 400 - 1)
    assert cached([dataset], "auto", tmp_path / "cache") == (dataset,)
    monkeypatch.setattr(cache, "LARGE_PIXELS", 400)
    (kept,) = cached([dataset], "auto", tmp_path / "cache")
    assert isinstance(kept, CachedDataset)
    assert isinstance(kept.store, DiskStore)
    kept.image(0)
    assert isinstance(kept.image(0), np.memmap)


def test_a_full_disk_is_left_alone(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    image = save(tmp_path / "a.png", gray(20, 20))
    labels = LabelSpec(("a", "b"), ((0, 0, 0), (9, 9, 9)))
    dataset = FileDataset((Pair("a", image, image),), labels, "train")
    monkeypatch.setattr(cache, "AUTO_LIMIT_BYTES", 0)
    monkeypatch.setattr(cache, "LARGE_PIXELS", 1)
    usage = type("Usage", (), {"free": 2 * 4 * 400 - 1})
    monkeypatch.setattr(cache.shutil, "disk_usage", lambda place: usage)
    assert cached([dataset], "auto", tmp_path / "cache") == (dataset,)


@pytest.mark.slow
def test_400_million_pixels_of_a_tiff_are_read_whole(tmp_path: Path) -> None:
    path = sparse_tiff(tmp_path / "a.tif", SIDE)
    image = read_pixels(path, DECLARED)
    assert image.shape == (SIDE, SIDE, 3)
    assert not image[: SIDE - 1].any()
    assert (image[-1] == 9).all()


@pytest.mark.slow
@pytest.mark.parametrize("suffix", ["png", "jpg"])
def test_400_million_pixels_of_a_photo_are_read_whole(tmp_path: Path, suffix: str) -> None:
    noise = np.random.default_rng(0).integers(0, 255, (500, 500), np.uint8)
    whole = np.tile(noise, (40, 40))
    path = tmp_path / f"a.{suffix}"
    Image.fromarray(whole).save(path, **({"compress_level": 1} if suffix == "png" else {}))
    image = read_pixels(path, DECLARED)
    assert image.shape == (SIDE, SIDE, 3)
    if suffix == "png":
        assert np.array_equal(image[-500:, -500:, 1], noise)
