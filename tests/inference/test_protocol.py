"""Settings become strategies, and stand beside the score."""

import json

import pytest
import torch
from torch import Tensor

from dualseg.core.errors import InputError
from dualseg.core.facts import ModelFacts, default_labels
from dualseg.inference.flip import flipped
from dualseg.inference.multi_scale import multi_scale
from dualseg.inference.protocol import Protocol, with_protocol
from dualseg.inference.slide import slide

FACTS = ModelFacts({}, default_labels(3), training_size=(8, 10))
IMAGES = torch.randint(
    256, (1, 3, 13, 17), dtype=torch.uint8, generator=torch.Generator().manual_seed(0)
)
torch.manual_seed(0)
CONV = torch.nn.Conv2d(3, 3, 5, padding=2).requires_grad_(False)


def look(images: Tensor) -> Tensor:
    return CONV(images.float() / 64)


def test_the_plain_protocol_adds_nothing() -> None:
    assert with_protocol(look, FACTS, Protocol()) is look


def test_windows_lie_within_mirror_images_within_scales() -> None:
    asked = Protocol("slide", window=(8, 8), stride=(4, 6), scales=(0.75, 1.0), flip=True)
    windows = slide(look, window=(8, 8), stride=(4, 6), mean=FACTS.mean)
    expected = multi_scale(flipped(windows), (0.75, 1.0))(IMAGES)
    assert torch.equal(with_protocol(look, FACTS, asked)(IMAGES), expected)


def test_maximum_keeps_raw_scores_throughout() -> None:
    asked = Protocol(scales=(0.5, 1.0), flip=True, fusion="max")
    expected = multi_scale(flipped(look, average="logits"), (0.5, 1.0), fusion="max")(IMAGES)
    assert torch.equal(with_protocol(look, FACTS, asked)(IMAGES), expected)


def test_window_and_stride_come_from_the_training_crop() -> None:
    protocol = Protocol("slide")
    assert protocol.window_for(FACTS) == (8, 10)
    assert protocol.stride_for(FACTS) == (5, 6)


def test_window_must_be_known() -> None:
    unknown = ModelFacts({}, default_labels(3))
    with pytest.raises(InputError, match="needs a window"):
        with_protocol(look, unknown, Protocol("slide"))


def test_only_what_is_in_use_stands_beside_the_score() -> None:
    assert Protocol().to_dict(FACTS, "fp32") == {
        "name": "whole",
        "resolution": "native",
        "input_scale": 1.0,
        "flip": False,
        "scales": [1.0],
        "precision": "fp32",
    }
    slid = Protocol("slide", window=(6, 6), scales=(0.5, 1.0), flip=True, output_stride=8)
    plain = slid.to_dict(FACTS, "bf16")
    assert (plain["window"], plain["stride"], plain["average"]) == ([6, 6], [4, 4], "softmax")
    assert (plain["scales"], plain["fusion"], plain["flip"]) == ([0.5, 1.0], "mean", True)
    assert (plain["output_stride"], plain["precision"]) == (8, "bf16")
    assert json.loads(json.dumps(plain)) == plain


def test_the_old_tables_protocol_is_labelled() -> None:
    plain = Protocol("crop").to_dict(FACTS, "fp32")
    assert plain["resolution"] == "short side resized, centre crop 8x10"
    assert plain["comparable"] == "only with old tables made this way"


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"name": "crops"}, "did you mean crop"),
        ({"window": (8, 8)}, "a window belongs to the protocols slide and crop"),
        ({"name": "crop", "stride": (8, 8)}, "a stride belongs to the protocol slide"),
        ({"name": "slide", "window": (8, 8), "stride": (9, 8)}, "the stride is larger"),
        ({"name": "slide", "average": "median"}, "average 'median' is unknown"),
        ({"average": "logits"}, "average logits is of the overlapping windows"),
        ({"name": "crop", "average": "logits"}, "choose it, or leave the average out"),
        ({"average": "logits", "flip": True, "scales": (0.5, 1.0)}, "of the protocol slide"),
        ({"scales": ()}, "no scale is given"),
        ({"fusion": "sum"}, "fusion 'sum' is unknown"),
        ({"fusion": "max"}, "fusion max has nothing to fuse at one scale without flip"),
    ],
)
def test_settings_that_do_not_go_together_are_refused(settings: dict, message: str) -> None:
    with pytest.raises(InputError, match=message):
        Protocol(**settings)


def test_a_stride_beyond_the_training_crop_is_refused() -> None:
    with pytest.raises(InputError, match="the stride is larger"):
        with_protocol(look, FACTS, Protocol("slide", stride=(9, 9)))
