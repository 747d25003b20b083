"""Where one run gains on another, and where it loses."""

from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from dualseg.core.labels import LabelSpec
from dualseg.visual.budget import PictureBudget
from dualseg.visual.gain_gallery import (
    ImagePair,
    Pairing,
    detail_parts,
    extreme_images,
    gain_parts,
)
from dualseg.visual.overlay import GAINED, WRONG, change_map, near_borders
from dualseg.visual.run_files import GalleryImage

LABELS = LabelSpec(("road", "pole"), ((200, 30, 30), (30, 200, 30)))
PAIRING = Pairing("plain", "dual", LABELS)


def truth_with_a_pole() -> np.ndarray:
    truth = np.zeros((120, 200), np.uint8)
    truth[20:60, 150:153] = 1
    return truth


def pair(
    folder: Path, before: np.ndarray, after: np.ndarray, *, name: str = "street", whole: bool = True
) -> ImagePair:
    """The two answers to one image, as files."""
    truth = truth_with_a_pole()
    pictures = {"truth": truth, "before": before, "after": after}
    pictures["image"] = np.zeros((120, 200, 3), np.uint8)
    pictures["input"] = np.zeros((60, 100, 3), np.uint8)
    for part, picture in pictures.items():
        Image.fromarray(picture).save(folder / f"{name}_{part}.png")
    files = {part: f"{name}_{part}.png" for part in ("truth", "input", *(["image"] * whole))}
    images = [
        GalleryImage(name, (), 0.5, folder, {**files, "prediction": f"{name}_{part}.png"})
        for part in ("before", "after")
    ]
    return ImagePair(images[0], images[1], 0.125)


def test_largest_gains_and_losses_come_first() -> None:
    gains = {"a": 0.1, "b": -0.2, "c": 0.3, "d": 0.0, "e": -0.1}
    assert extreme_images(gains, 5) == (["c", "a"], ["b", "e"])
    assert extreme_images(gains, 1) == (["c"], ["b"])


def test_change_map_tells_gains_from_losses_and_leaves_ignored_pixels_out() -> None:
    truth = np.array([[0, 0, 0, 0, 255]], np.uint8)
    before = np.array([[0, 1, 0, 1, 1]], np.uint8)
    after = np.array([[0, 0, 1, 1, 0]], np.uint8)
    colors = [tuple(color) for color in change_map(truth, before, after)[0].tolist()]
    assert colors[0] not in (GAINED, WRONG)
    assert colors[1] == GAINED
    assert colors[2] == WRONG
    assert colors[3] not in (GAINED, WRONG)  # both wrong: no change
    assert colors[4] not in (GAINED, WRONG)


def test_near_borders_is_a_band_of_the_radius() -> None:
    label_map = np.zeros((5, 9), np.uint8)
    label_map[:, 5:] = 1  # the border is marked on column 4
    assert near_borders(label_map, 2).tolist() == [[False] * 2 + [True] * 5 + [False] * 2] * 5
    assert not near_borders(np.zeros((5, 9), np.uint8), 2).any()


def test_detail_lies_where_the_pole_was_found_not_where_a_region_changed(tmp_path: Path) -> None:
    truth = truth_with_a_pole()
    before = np.zeros_like(truth)
    before[70:110, 10:100] = 1  # a large false region, far from every border
    found = pair(tmp_path, before, truth)
    assert found.change(255)[90, 50] == 1
    assert found.detail_change(255)[90, 50] == 0
    assert found.detail_change(255)[30, 151] == 1
    (part,) = detail_parts(PAIRING, {"street": found}, 4, PictureBudget())
    assert "Details gained" in part
    assert "near borders 72 pixels are right with dual alone, 0 with plain alone" in part


def test_details_lost_are_shown_too(tmp_path: Path) -> None:
    truth = truth_with_a_pole()
    worse = pair(tmp_path, truth, np.zeros_like(truth))
    (part,) = detail_parts(PAIRING, {"street": worse}, 4, PictureBudget())
    assert "Details lost" in part
    assert part.count("<img") == 5


def test_equal_answers_have_no_details(tmp_path: Path) -> None:
    truth = truth_with_a_pole()
    assert detail_parts(PAIRING, {"street": pair(tmp_path, truth, truth)}, 4, PictureBudget()) == []


def test_details_prefer_images_at_native_size(tmp_path: Path) -> None:
    truth, blind = truth_with_a_pole(), np.zeros((120, 200), np.uint8)
    pairs = {
        "shrunk": pair(tmp_path, blind, truth, name="shrunk", whole=False),
        "whole": pair(tmp_path, blind, truth, name="whole"),
    }
    (part,) = detail_parts(PAIRING, pairs, 4, PictureBudget())
    assert part.count("<h3>whole</h3>") == 1
    assert "shrunk" not in part
    (part,) = detail_parts(PAIRING, {"shrunk": pairs["shrunk"]}, 4, PictureBudget())
    assert "as the network sees it" in part


def test_images_without_pictures_are_named(tmp_path: Path) -> None:
    truth = truth_with_a_pole()
    pairs = {"street": pair(tmp_path, np.zeros_like(truth), truth)}
    gains, losses = gain_parts(PAIRING, pairs, ["street", "gone"], ["lost"], PictureBudget())
    assert gains.count("<article") == 1
    assert "mIoU +0.125" in gains
    assert "No pictures are kept of: gone." in gains
    assert "No pictures are kept of: lost." in losses


@pytest.mark.parametrize("budget", [0, 100])
def test_a_full_page_names_what_it_leaves_out(tmp_path: Path, budget: int) -> None:
    truth = truth_with_a_pole()
    page = PictureBudget(budget)
    pairs = {"street": pair(tmp_path, np.zeros_like(truth), truth)}
    assert gain_parts(PAIRING, pairs, ["street"], [], page) == []
    assert page.left_out == ["street"]
