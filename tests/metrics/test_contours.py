"""Where classes meet, and distances from there."""

import numpy as np
import pytest

from dualseg.metrics.contours import contour, distance_from


def label_map(*rows: list[int]) -> np.ndarray:
    return np.array(rows, np.uint8)


def test_both_sides_of_a_boundary_are_contour() -> None:
    assert contour(label_map([5, 5, 1], [5, 5, 1])).tolist() == [[False, True, True]] * 2


def test_neighbours_are_above_and_below_too_but_not_across_a_corner() -> None:
    assert contour(label_map([0, 0], [0, 1])).tolist() == [[False, True], [True, True]]


def test_what_is_ignored_bounds_nothing_where_it_is_named() -> None:
    picture = label_map([0, 0, 255, 1, 2])

    assert contour(picture).tolist() == [[False, True, True, True, True]]
    assert contour(picture, picture == 255).tolist() == [[False, False, False, True, True]]


def test_distances_are_euclidean_and_0_on_the_line() -> None:
    line = np.zeros((3, 4), np.bool_)
    line[2, 3] = True

    distances = distance_from(line)

    assert distances[2, 3] == 0
    assert distances[1, 2] == pytest.approx(2**0.5)
    assert distances[1, 1] == pytest.approx(5**0.5)


def test_without_a_line_every_pixel_is_infinitely_far() -> None:
    assert np.isinf(distance_from(np.zeros((3, 4), np.bool_))).all()
