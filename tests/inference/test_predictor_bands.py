"""Prediction with networks trained on other bands or deeper values than ordinary pictures have."""

from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from dualseg.core.errors import InputError
from dualseg.core.facts import ModelFacts, default_labels
from dualseg.core.image_spec import ImageSpec
from dualseg.core.outputs import SegmentationOutput
from dualseg.inference.predictor import Predictor, as_pixels


class Brighter(torch.nn.Module):
    """Class 1 where the first band is brighter than the last one."""

    def forward(self, images: torch.Tensor) -> SegmentationOutput:
        difference = images[:, :1] - images[:, -1:]
        return SegmentationOutput(torch.cat([-difference, difference], dim=1))


def _predictor(images: ImageSpec) -> Predictor:
    bands = images.num_channels
    facts = ModelFacts(
        {}, default_labels(2), mean=(0.5,) * bands, std=(1.0,) * bands, images=images
    )
    return Predictor(Brighter(), facts=facts)


FOUR = np.zeros((2, 3, 4), np.uint8)
FOUR[0, :, 0] = 9  # the first band is brighter in the first row
FOUR[1, :, 3] = 9
EXPECTED = [[1, 1, 1], [0, 0, 0]]


def test_arrays_pictures_and_files_of_four_bands_agree(tmp_path: Path) -> None:
    predictor = _predictor(ImageSpec(channels=4))
    picture = Image.fromarray(FOUR, "RGBA")
    picture.save(tmp_path / "a.png")
    for image in (FOUR, picture, tmp_path / "a.png"):
        assert predictor(image).tolist() == EXPECTED


def test_a_difference_of_one_level_of_16_bits_is_seen() -> None:
    predictor = _predictor(ImageSpec(channels=2, max_value=65535))
    image = np.array([[[30001, 30000], [30000, 30001]]], np.uint16)
    assert predictor(image).tolist() == [[1, 0]]


def test_pixels_that_are_read_already_are_not_scaled_again(tmp_path: Path) -> None:
    images = ImageSpec(channels=1, max_value=4095)
    Image.fromarray(np.array([[4095]], np.uint16)).save(tmp_path / "a.png")
    predictor, seen = _predictor(images), []
    predictor.logits = lambda batch: seen.append(batch) or torch.zeros(1, 2, 1, 1)
    predictor(tmp_path / "a.png")
    predictor.predict_pixels(as_pixels(tmp_path / "a.png", images))
    assert [batch.item() for batch in seen] == [255, 255]


@pytest.mark.parametrize("bands", [1, 3, 5])
def test_other_bands_are_refused_in_one_message(tmp_path: Path, bands: int) -> None:
    predictor = _predictor(ImageSpec(channels=4))
    with pytest.raises(InputError, match=r"uint8 of shape \(H, W, 4\), as those the network"):
        predictor(np.zeros((2, 2, bands), np.uint8))
    Image.fromarray(np.zeros((2, 2, 3), np.uint8)).save(tmp_path / "a.png")
    with pytest.raises(InputError, match=r"a\.png has 3 bands; expected 4 bands"):
        predictor(tmp_path / "a.png")


def test_values_beyond_the_declared_ones_are_refused() -> None:
    predictor = _predictor(ImageSpec(channels=2, max_value=4095))
    with pytest.raises(InputError, match="the image holds values from 0 to 5000"):
        predictor(np.array([[[0, 5000]]], np.uint16))
