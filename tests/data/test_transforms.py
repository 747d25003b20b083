import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from dualseg.core.geometry import Size
from dualseg.data.loading.transforms import (
    Window,
    change_colors,
    cut,
    draw_pixel_of_a_class,
    draw_window,
    random_crop,
)

Bytes = NDArray[np.uint8]


def _crop(
    image: Bytes,
    label_map: Bytes,
    size: Size,
    *,
    scales: tuple[float, float] = (1.0, 1.0),
    flip: bool = False,
    photometric: float = 0.0,
    seed: int = 0,
) -> tuple[Bytes, Bytes]:
    return random_crop(
        image,
        label_map,
        crop_size=size,
        scale_range=scales,
        flip=flip,
        photometric=photometric,
        random=np.random.default_rng(seed),
    )


def _noise(height: int, width: int, seed: int = 0) -> tuple[Bytes, Bytes]:
    random = np.random.default_rng(seed)
    image = random.integers(0, 256, (height, width, 3), dtype=np.uint8)
    return image, random.integers(0, 4, (height, width), dtype=np.uint8)


def _square(height: int, width: int, top: int, left: int, side: int) -> tuple[Bytes, Bytes]:
    label_map = np.zeros((height, width), np.uint8)
    label_map[top : top + side, left : left + side] = 1
    return np.repeat(200 * label_map[..., None] + np.uint8(20), 3, axis=2), label_map


def test_a_full_crop_at_scale_1_is_the_input_bit_for_bit() -> None:
    image, label_map = _noise(9, 13)
    crop, ids = _crop(image, label_map, (9, 13))
    assert np.array_equal(crop, image)
    assert np.array_equal(ids, label_map)


def test_a_crop_at_scale_1_is_a_part_of_the_input() -> None:
    image, label_map = _noise(20, 30)
    places = set()
    for seed in range(20):
        crop, ids = _crop(image, label_map, (8, 10), seed=seed)
        window = draw_window((20, 30), (8, 10), (1.0, 1.0), np.random.default_rng(seed))
        rows = slice(window.top, window.top + 8)
        columns = slice(window.left, window.left + 10)
        assert np.array_equal(crop, image[rows, columns])
        assert np.array_equal(ids, label_map[rows, columns])
        places.add((window.top, window.left))
    assert len(places) > 10


@settings(max_examples=200, deadline=None)
@given(
    source=st.tuples(st.integers(1, 40), st.integers(1, 40)),
    crop=st.tuples(st.integers(1, 48), st.integers(1, 48)),
    low=st.floats(0.25, 2.0),
    spread=st.floats(1.0, 4.0),
    seed=st.integers(0, 2**32 - 1),
)
def test_no_label_value_is_invented(
    source: Size, crop: Size, low: float, spread: float, seed: int
) -> None:
    image, label_map = _noise(*source, seed=seed)
    label_map = np.where(label_map == 3, 255, label_map * 2).astype(np.uint8)  # 0, 2, 4, 255
    scales = (low, low * spread)
    window = draw_window(source, crop, scales, np.random.default_rng(seed))
    result, ids = _crop(image, label_map, crop, scales=scales, flip=True, seed=seed)
    assert result.shape == (*crop, 3)
    assert ids.shape == crop
    assert result.dtype == ids.dtype == np.uint8
    padded = window.size != crop
    assert set(np.unique(ids)) <= set(np.unique(label_map)) | ({255} if padded else set())
    assert 0 <= window.top <= source[0] - window.height
    assert 0 <= window.left <= source[1] - window.width
    for filled, offset, side in zip(window.size, window.offset, crop, strict=True):
        assert 1 <= filled <= filled + offset <= side


def test_padding_is_ignored_and_never_background() -> None:
    image, label_map = np.full((4, 6, 3), (10, 20, 30), np.uint8), np.ones((4, 6), np.uint8)
    for seed in range(20):
        crop, ids = _crop(image, label_map, (10, 9), scales=(0.5, 1.4), seed=seed)
        assert set(np.unique(ids)) == {1, 255}
        assert (crop == (10, 20, 30)).all()  # the rest has the mean colour


def test_a_crop_larger_than_the_image_holds_it_whole() -> None:
    image, label_map = _noise(4, 6)
    crop, ids = _crop(image, label_map, (7, 11), seed=3)
    rows, columns = np.nonzero(ids != 255)
    top, left = rows.min(), columns.min()
    assert np.array_equal(crop[top : top + 4, left : left + 6], image)
    assert np.array_equal(ids[top : top + 4, left : left + 6], label_map)
    assert (ids != 255).sum() == 24


def test_padding_stands_on_every_side_over_time() -> None:
    image, label_map = _noise(4, 4)
    tops = {
        int(np.nonzero(_crop(image, label_map, (8, 8), seed=s)[1] != 255)[0].min())
        for s in range(60)
    }
    assert tops == {0, 1, 2, 3, 4}


def test_rounding_alone_never_pads() -> None:
    for seed in range(300):
        window = draw_window((400, 500), (127, 251), (0.7, 1.9), np.random.default_rng(seed))
        assert window.size == (127, 251)
        assert window.offset == (0, 0)


def test_scales_are_drawn_evenly_between_half_and_double() -> None:
    random = np.random.default_rng(0)
    heights = [draw_window((900, 900), (100, 100), (0.5, 2.0), random).height for _ in range(400)]
    enlarged = sum(height < 100 for height in heights)
    assert 160 < enlarged < 240
    assert min(heights) >= 50
    assert max(heights) <= 200
    assert min(heights) < 55
    assert max(heights) > 182


@pytest.mark.parametrize("scale", [0.5, 0.77, 1.0, 1.3, 2.0])
@pytest.mark.parametrize("seed", range(4))
def test_image_and_label_stay_on_each_other(scale: float, seed: int) -> None:
    image, label_map = _square(120, 160, 35, 50, 60)
    crop, ids = _crop(image, label_map, (96, 112), scales=(scale, scale), flip=True, seed=seed)
    bright, labelled = crop[..., 0] > 120, ids == 1
    inside = ids != 255
    both, either = (bright & labelled & inside).sum(), ((bright | labelled) & inside).sum()
    assert labelled.sum() > 400
    assert both / either > 0.9
    # Half a pixel of shift on every edge of the square would show up as a rim.
    assert either - both <= 0.5 * _edge_pixels(labelled)


def _edge_pixels(region: NDArray[np.bool_]) -> int:
    rows = (region[1:] != region[:-1]).sum()
    return int(rows + (region[:, 1:] != region[:, :-1]).sum())


@pytest.mark.parametrize("size", [(80, 80), (20, 20), (60, 50)])
def test_resizing_moves_the_centre_of_neither(size: Size) -> None:
    image, label_map = _square(40, 40, 10, 14, 16)
    window = Window(0, 0, 40, 40, size, (0, 0))
    crop, ids = cut(image, label_map, window, size)
    weights = crop[..., 0].astype(float) - 20
    for axis, middle in ((0, 18 / 40), (1, 22 / 40)):
        places = (np.arange(size[axis]) + 0.5) / size[axis]
        seen = (weights.sum(axis=1 - axis) * places).sum() / weights.sum()
        labelled = ((ids == 1).sum(axis=1 - axis) * places).sum() / (ids == 1).sum()
        half_a_pixel = 0.5 / size[axis] + 1e-9
        assert abs(seen - middle) <= half_a_pixel
        assert abs(labelled - middle) <= half_a_pixel


def test_a_flip_mirrors_image_and_label_together_half_of_the_time() -> None:
    image, label_map = _noise(5, 7)
    mirrored = 0
    for seed in range(100):
        crop, ids = _crop(image, label_map, (5, 7), flip=True, seed=seed)
        flipped = not np.array_equal(crop, image)
        mirrored += flipped
        assert np.array_equal(crop, image[:, ::-1] if flipped else image)
        assert np.array_equal(ids, label_map[:, ::-1] if flipped else label_map)
    assert 30 < mirrored < 70


def test_flipping_twice_is_the_identity() -> None:
    image, label_map = _noise(5, 7)
    seed = next(
        s
        for s in range(50)
        if (_crop(image, label_map, (5, 7), flip=True, seed=s)[0] != image).any()
    )
    once = _crop(image, label_map, (5, 7), flip=True, seed=seed)
    twice = _crop(*once, (5, 7), flip=True, seed=seed)
    assert np.array_equal(twice[0], image)
    assert np.array_equal(twice[1], label_map)


def test_the_input_is_left_as_it_was() -> None:
    image, label_map = _noise(9, 9)
    before = image.copy(), label_map.copy()
    _crop(image, label_map, (16, 16), scales=(0.5, 2.0), flip=True, photometric=0.5)
    assert np.array_equal(image, before[0])
    assert np.array_equal(label_map, before[1])


def test_colours_change_within_bounds_and_labels_do_not() -> None:
    image, label_map = np.full((6, 6, 3), 100, np.uint8), np.ones((6, 6), np.uint8)
    seen = set()
    for seed in range(50):
        crop, ids = _crop(image, label_map, (6, 6), photometric=0.2, seed=seed)
        assert (ids == 1).all()
        # An even gray is moved by brightness (80..120) and balance (0.95..1.05) alone.
        assert crop.min() >= 75
        assert crop.max() <= 127
        seen.add(int(crop[0, 0, 0]))
    assert len(seen) > 10


def test_strength_0_changes_no_colour() -> None:
    image, _ = _noise(6, 6)
    assert np.array_equal(change_colors(image, 0.0, np.random.default_rng(0)), image)


def test_the_same_random_numbers_give_the_same_crop() -> None:
    image, label_map = _noise(30, 40)
    first, second = (
        _crop(image, label_map, (16, 16), scales=(0.5, 2.0), flip=True, photometric=0.3, seed=7)
        for _ in range(2)
    )
    assert np.array_equal(first[0], second[0])
    assert np.array_equal(first[1], second[1])


def test_a_focus_is_inside_every_window() -> None:
    random = np.random.default_rng(0)
    for _ in range(200):
        focus = (int(random.integers(0, 40)), int(random.integers(0, 60)))
        window = draw_window((40, 60), (16, 16), (0.5, 2.0), random, focus)
        assert window.top <= focus[0] < window.top + window.height
        assert window.left <= focus[1] < window.left + window.width


def test_balanced_crops_meet_a_small_class_as_often_as_a_large_one() -> None:
    label_map = np.zeros((200, 200), np.uint8)
    label_map[96:112, 96:112] = 1  # 0.6 % of the image
    image = np.zeros((200, 200, 3), np.uint8)

    def share(class_balance: float) -> float:
        crops = [
            random_crop(
                image,
                label_map,
                crop_size=(16, 16),
                scale_range=(1.0, 1.0),
                flip=False,
                photometric=0.0,
                random=np.random.default_rng(seed),
                class_balance=class_balance,
            )[1]
            for seed in range(300)
        ]
        return float(np.mean([(crop == 1).any() for crop in crops]))

    assert share(0.0) < 0.1
    assert 0.4 < share(1.0) < 0.65


def test_an_ignored_image_has_no_pixel_to_look_for() -> None:
    ignored = np.full((20, 20), 255, np.uint8)
    assert draw_pixel_of_a_class(ignored, np.random.default_rng(0)) is None
    ignored[::8, ::8] = 3
    found = [draw_pixel_of_a_class(ignored, np.random.default_rng(seed)) for seed in range(300)]
    assert all(ignored[pixel] == 3 for pixel in found if pixel)
    assert any(found)
