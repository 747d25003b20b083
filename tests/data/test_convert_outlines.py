"""Outlines are proven by filling them again, by our reader and by a count of crossings."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from numpy.typing import NDArray

from dualseg.data.convert.coco import box_runs
from dualseg.data.convert.outlines import Region, keyhole_polygon, loops, regions
from dualseg.data.datasets.coco_shapes import (
    decode_runs,
    encode_runs,
    mask_runs,
    paint,
    polygon_patch,
    runs_mask,
)

SMALL = st.integers(1, 12)
LABEL_MAPS = arrays(np.uint8, st.tuples(SMALL, SMALL), elements=st.integers(0, 2))
RING = np.array([[1, 1, 1], [1, 0, 1], [1, 1, 1]], bool)


def _filled(points: NDArray[np.int64], size: tuple[int, int]) -> NDArray[np.bool_]:
    """Even-odd, pixel by pixel: how many edges lie above its centre."""
    filled = np.zeros(size, np.bool_)
    corners = points.tolist()
    for y in range(size[0]):
        for x in range(size[1]):
            above = [
                low[1]
                for low, high in zip(corners, corners[1:] + corners[:1], strict=True)
                if min(low[0], high[0]) < x + 0.5 < max(low[0], high[0])
            ]
            filled[y, x] = sum(edge < y + 0.5 for edge in above) % 2
    return filled


@settings(max_examples=300, deadline=None)
@given(LABEL_MAPS)
def test_regions_filled_again_are_the_label_map(label_map: NDArray[np.uint8]) -> None:
    size = label_map.shape[0], label_map.shape[1]
    again = np.full(size, 99, np.uint8)
    for region in regions(label_map):
        mine = np.zeros(size, np.bool_)
        paint(mine, polygon_patch(region.polygon(), size), True)
        assert np.array_equal(mine, _filled(region.polygon(), size))
        assert (again[mine] == 99).all()  # nothing is drawn twice
        again[mine] = region.class_id
    assert np.array_equal(again, label_map)


@settings(max_examples=100, deadline=None)
@given(LABEL_MAPS, st.integers(1, 5000), st.integers(1, 5000))
def test_shares_of_nine_digits_fall_on_the_same_pixels(
    label_map: NDArray[np.uint8], more_rows: int, more_columns: int
) -> None:
    size = label_map.shape[0] + more_rows, label_map.shape[1] + more_columns
    for region in regions(label_map):
        exact = region.polygon()
        shares = [[float(f"{v:.9g}") for v in p] for p in exact / (size[1], size[0])]
        patch = polygon_patch(np.array(shares) * (size[1], size[0]), size)
        wanted = polygon_patch(exact, size)
        assert patch is not None
        assert wanted is not None
        assert (patch.top, patch.left) == (wanted.top, wanted.left)
        assert np.array_equal(patch.mask, wanted.mask)


def test_a_single_pixel_has_four_corners() -> None:
    assert loops(np.ones((1, 1), bool))[0].tolist() == [[0, 0], [1, 0], [1, 1], [0, 1]]


def test_a_line_leads_from_the_outline_to_the_hole_and_back() -> None:
    outer, inner = loops(RING)
    assert len(outer) == len(inner) == 4
    assert keyhole_polygon(RING).tolist() == [
        *[[0, 0], [1, 0], [1, 1], [2, 1], [2, 2], [1, 2], [1, 1], [1, 0]],
        *[[3, 0], [3, 3], [0, 3]],
    ]


def test_pixels_that_touch_at_a_corner_are_two_regions_but_one_hole() -> None:
    assert len(list(regions(np.eye(3, dtype=np.uint8), skip=0))) == 3
    around = np.pad(~np.eye(2, dtype=bool), 1, constant_values=True)
    assert len(loops(around)) == 2


@given(arrays(np.bool_, st.tuples(SMALL, SMALL)))
def test_runs_come_back(mask: NDArray[np.bool_]) -> None:
    runs = mask_runs(mask)
    assert np.array_equal(runs_mask(runs, (mask.shape[0], mask.shape[1])), mask)
    assert decode_runs(encode_runs(runs)) == runs


@given(arrays(np.bool_, st.tuples(SMALL, SMALL)), st.sampled_from([0, 1, 5]), st.booleans())
def test_runs_of_a_box_are_those_of_the_whole_image(
    mask: NDArray[np.bool_], more: int, is_turned: bool
) -> None:
    mask[0], mask[-1], mask[:, 0], mask[:, -1] = True, True, True, True  # as tight as a region
    height, width = mask.shape
    top, left = (more, 0) if is_turned else (0, more)
    whole = np.zeros((height + 2 * top, width + 2 * left), np.bool_)
    whole[top : top + height, left : left + width] = mask
    size = whole.shape[0], whole.shape[1]
    assert box_runs(Region(1, top, left, mask), size) == mask_runs(whole)


@given(st.lists(st.integers(0, 1 << 40), max_size=20))
def test_packed_runs_of_any_length_come_back(runs: list[int]) -> None:
    assert decode_runs(encode_runs(runs)) == runs


@pytest.mark.filterwarnings("ignore::DeprecationWarning")
def test_pycocotools_reads_what_we_pack_and_draws_our_outlines() -> None:
    mask_api = pytest.importorskip("pycocotools.mask")
    random = np.random.default_rng(0)
    for _ in range(200):
        label_map = random.integers(0, 2, random.integers(1, 12, 2)).astype(np.uint8)
        size = label_map.shape[0], label_map.shape[1]
        packed = {"size": list(size), "counts": encode_runs(mask_runs(label_map == 1))}
        assert np.array_equal(mask_api.decode(packed), label_map)
        for region in regions(label_map, skip=0):
            if len(loops(region.mask)) == 1:
                outline = region.polygon().ravel().tolist()
                theirs = mask_api.decode(mask_api.frPyObjects([outline], *size))[..., 0]
                mine = np.zeros(size, np.uint8)
                paint(mine, polygon_patch(region.polygon(), size), 1)
                assert np.array_equal(theirs, mine)


def test_the_way_along_an_edge_with_two_holes_does_not_turn_back() -> None:
    two = np.ones((3, 5), bool)
    two[1, 1] = two[1, 3] = False
    for turned in (two, two[::-1], two[:, ::-1], two.T):
        corners = keyhole_polygon(np.ascontiguousarray(turned))
        steps = np.abs(np.diff(corners, axis=0, append=corners[:1]))
        assert steps.sum() == 16 + 2 * 4 + 2 * 2  # outline, holes, and a way of 1 to each and back
