import json

import numpy as np
import pytest
import torch

from dualseg.core.errors import InputError
from dualseg.core.facts import ModelFacts, default_labels
from dualseg.core.geometry import normalize_images
from dualseg.core.image_spec import ImageSpec, default_mean_std, to_rgb


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ({"channels": 0}, r"channels: expected the number of bands, such as 4, .* got 0"),
        ({"channels": (0, 1)}, "counted from 1"),
        ({"channels": ()}, "channels: expected"),
        ({"channels": True}, "channels: expected"),
        ({"max_value": float("nan")}, "max_value: expected a number"),
        ({"max_value": 0}, r"max_value: 0 \(white\) must lie above min_value 0 \(black\)"),
        ({"min_value": 5.0, "max_value": 5.0}, "must lie above"),
        ({"max_pixels": 0}, "max_pixels: expected a number of pixels"),
    ],
)
def test_what_cannot_be_is_refused(given, message):
    with pytest.raises(InputError, match=message):
        ImageSpec(**given)


@pytest.mark.parametrize(("channels", "count"), [(3, 3), (1, 1), (5, 5), ((4, 3, 2), 3), ((7,), 1)])
def test_a_list_of_bands_counts_its_entries(channels, count):
    assert ImageSpec(channels=channels).num_channels == count


@pytest.mark.parametrize(
    "images",
    [
        ImageSpec(),
        ImageSpec(channels=5, min_value=-1.0, max_value=2.5),
        ImageSpec(channels=(4, 3, 2), max_pixels=400_000_000),
    ],
)
def test_the_bands_of_a_model_survive_json(images):
    mean, std = default_mean_std(images.num_channels)
    facts = ModelFacts({}, default_labels(2), mean=mean, std=std, images=images)
    assert ModelFacts.from_dict(json.loads(json.dumps(facts.to_dict()))).images == images


def test_model_facts_state_their_channels():
    plain = ModelFacts({}, default_labels(2)).to_dict()
    assert plain["channels"] == 3


def test_a_model_of_an_older_version_means_three_channels():
    plain = ModelFacts({}, default_labels(2)).to_dict()
    for key in ("channels", "min_value", "max_value", "max_pixels"):
        del plain[key]
    assert ModelFacts.from_dict(plain).images == ImageSpec()


def test_mean_and_std_have_one_number_a_band():
    with pytest.raises(InputError, match="mean has 3 numbers, but the images have 5 bands"):
        ModelFacts({}, default_labels(2), images=ImageSpec(channels=5))


def test_bands_nobody_measured_are_centred():
    assert default_mean_std(2) == ((0.5, 0.5), (0.25, 0.25))
    assert default_mean_std(3)[0] == (0.485, 0.456, 0.406)


def test_bands_are_normalised_one_by_one():
    images = torch.tensor([51.0, 255.0]).view(1, 2, 1, 1)  # 0.2 and 1.0
    normalized = normalize_images(images, (0.1, 0.5), (0.5, 0.25)).flatten()
    torch.testing.assert_close(normalized, torch.tensor([0.2, 2.0]))


def test_images_of_other_bands_are_refused_in_one_message():
    with pytest.raises(InputError, match=r"the images have 4 bands, but .* prepared for 3"):
        normalize_images(torch.zeros(1, 4, 2, 2), (0.5,) * 3, (0.5,) * 3)


def test_people_are_shown_the_first_three_bands():
    image = np.array([[[1, 2, 3, 4]]], np.uint8)
    assert to_rgb(image).tolist() == [[[1, 2, 3]]]
    assert to_rgb(image[..., :1]).tolist() == [[[1, 1, 1]]]
    assert to_rgb(image[..., :2]).tolist() == [[[1, 1, 1]]]
    deep = np.array([[[-5.0, 99.6, 300.0, 1.0]]], np.float32)
    assert to_rgb(deep).tolist() == [[[0, 100, 255]]]


def test_an_ordinary_picture_is_shown_as_it_is():
    image = np.zeros((2, 2, 3), np.uint8)
    assert to_rgb(image) is image
