"""Street scenes: what the label map promises about the picture, and that a seed is a scene."""

import numpy as np
import pytest
from numpy.typing import NDArray

from dualseg.data.scenes.canvas import Camera, Canvas
from dualseg.data.scenes.materials import Id
from dualseg.data.scenes.scene import draw_scene

SIZE = (192, 256)


def scene(seed: int) -> tuple[NDArray[np.uint8], NDArray[np.uint8]]:
    return draw_scene(SIZE, np.random.Generator(np.random.Philox(seed)))


@pytest.fixture(scope="module")
def label_maps() -> list[NDArray[np.uint8]]:
    return [scene(seed)[1] for seed in range(24)]


def test_a_seed_is_a_scene() -> None:
    first, again, other = scene(3), scene(3), scene(4)
    assert all(np.array_equal(a, b) for a, b in zip(first, again, strict=True))
    assert not np.array_equal(first[0], other[0])
    assert not np.array_equal(first[1], other[1])


def test_scene_has_the_size_and_only_known_ids(label_maps: list[NDArray[np.uint8]]) -> None:
    picture, label_map = scene(0)
    assert picture.shape == (*SIZE, 3)
    assert picture.dtype == label_map.dtype == np.uint8
    assert {int(i) for m in label_maps for i in np.unique(m)} == {int(i) for i in Id}


def test_classes_are_very_unequal_and_some_pixels_are_ignored(
    label_maps: list[NDArray[np.uint8]],
) -> None:
    counts = np.bincount(np.concatenate([m.ravel() for m in label_maps]), minlength=256)
    assert counts[:12].max() > 20 * counts[:12].min()
    assert 0.01 < counts[255] / counts.sum() < 0.15


@pytest.mark.parametrize("thin", [Id.WIRE, Id.POLE, Id.RAILING])
def test_thin_things_are_one_to_four_pixels_wide(
    label_maps: list[NDArray[np.uint8]], thin: Id
) -> None:
    # A run of more than four pixels, across and down, is no thin line's.
    masks = [m == thin for m in label_maps]
    wide = sum(int(_runs_longer_than(mask, 4).sum()) for mask in masks)
    assert wide < 0.15 * sum(int(mask.sum()) for mask in masks)


def test_a_line_is_as_dark_in_the_picture_as_its_label_says() -> None:
    canvas = Canvas((40, 40), Id.SKY)
    canvas.polygon([(0, 0), (40, 0), (40, 40), (0, 40)], (200, 200, 200), Id.SKY)
    canvas.polygon([(10, 0), (13, 0), (13, 39), (10, 39)], (0, 0, 0), Id.POLE)  # columns 10 to 13
    picture, label_map = canvas.shrunk()
    assert np.array_equal(label_map == Id.POLE, picture[..., 0] == 0)
    assert np.flatnonzero(label_map[5] == Id.POLE).tolist() == [5, 6]


@pytest.mark.parametrize(
    ("parts", "winner"),
    [
        ([1, 1, 1, 9], 1),  # most of the pixel
        ([1, 9, 9, 9], 9),
        ([1, 1, 9, 9], 9),  # a tie: the thin one
        ([2, 1, 1, 9], 1),  # two of four, and no other has two
        ([1, 5, 9, 9], 9),
        ([1, 2, 5, 9], 9),
        ([1, 5, 5, 9], 5),
    ],
)
def test_label_pixel_has_the_class_of_most_of_its_parts(parts: list[int], winner: int) -> None:
    for turn in range(4):
        canvas = Canvas((2, 2), 0)
        canvas.labels[:] = np.roll(parts, turn).reshape(2, 2)
        assert canvas.shrunk()[1].tolist() == [[winner]]


def test_camera_puts_a_point_where_similar_triangles_do() -> None:
    camera = Camera(focal=100, horizon=(50, 40), height=1.5, x=1.0)
    # 2 m right of the camera and 1.5 m below it, 10 m ahead: 100 * 2 / 10 and 100 * 1.5 / 10.
    assert camera.point(3.0, 0.0, 10.0) == (70.0, 55.0)
    assert camera.pixels(0.5, 10.0) == 5.0


def _runs_longer_than(mask: NDArray[np.bool_], length: int) -> NDArray[np.bool_]:
    """Pixels around which a square of more than `length` on a side is all set."""
    window = np.lib.stride_tricks.sliding_window_view(mask, (length + 1, length + 1))
    return window.all(axis=(2, 3))
