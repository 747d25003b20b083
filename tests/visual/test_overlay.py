"""Colours on maps of a few pixels."""

import numpy as np
import pytest

from dualseg.core.errors import InputError
from dualseg.core.labels import LabelSpec
from dualseg.visual.overlay import HATCH, RIGHT, WHITE, WRONG, blend, borders, error_map, paint

LABELS = LabelSpec(("road", "pole"), ((100, 0, 0), (0, 200, 0)))


def test_classes_are_painted_in_their_colours() -> None:
    picture = paint(np.array([[0, 1]], dtype=np.uint8), LABELS)
    assert picture.tolist() == [[[100, 0, 0], [0, 200, 0]]]


def test_ignored_pixels_are_hatched_white() -> None:
    picture = paint(np.full((16, 16), 255, dtype=np.uint8), LABELS)
    colors = {tuple(color) for color in picture.reshape(-1, 3).tolist()}
    assert colors == {WHITE, HATCH}


def test_right_wrong_and_ignored_pixels_have_their_colours() -> None:
    target = np.array([[0, 0, 0, 0, 0, 255]], dtype=np.uint8)
    preds = np.array([[0, 0, 0, 1, 0, 1]], dtype=np.uint8)
    picture = error_map(target, preds)
    assert tuple(picture[0, 0]) == RIGHT
    assert tuple(picture[0, 3]) == WRONG
    assert tuple(picture[0, 5]) in (WHITE, HATCH)


def test_perfect_prediction_has_no_red() -> None:
    target = np.array([[0, 1], [1, 255]], dtype=np.uint8)
    assert not (error_map(target, target) == WRONG).all(axis=2).any()


def test_borders_lie_left_and_above_of_a_change() -> None:
    label_map = np.array([[0, 0, 1], [0, 0, 1], [0, 0, 0]], dtype=np.uint8)
    assert borders(label_map).astype(int).tolist() == [[0, 1, 0], [0, 1, 1], [0, 0, 0]]


def test_blend_mixes_image_and_colour_and_leaves_ignored_pixels_alone() -> None:
    image = np.full((1, 5, 3), 100, dtype=np.uint8)
    label_map = np.array([[1, 1, 255, 255, 255]], dtype=np.uint8)
    mixed = blend(image, label_map, LABELS, opacity=0.5)
    assert mixed[0, 0].tolist() == [50, 150, 50]
    assert mixed[0, 4].tolist() == [100, 100, 100]
    assert mixed[0, 1].max() < 70  # the border is dark


def test_blend_refuses_different_sizes() -> None:
    with pytest.raises(InputError, match=r"image is 2x3 .* 1x2"):
        blend(np.zeros((2, 3, 3), np.uint8), np.zeros((1, 2), np.uint8), LABELS)
