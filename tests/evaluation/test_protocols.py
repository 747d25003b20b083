"""Every protocol on networks small enough to know the answer."""

import numpy as np
import pytest
from evaluation_fakes import Threshold, TinyDataset

from dualseg.core.errors import InputError
from dualseg.evaluation.cropped import CenterCropped
from dualseg.evaluation.evaluate import evaluate, evaluate_logits
from dualseg.inference.protocol import Protocol
from dualseg.inference.strategies import whole


def halves() -> TinyDataset:
    target = np.zeros((12, 20))
    target[:, 10:] = 1
    drawn = target.copy()
    drawn[:4, 8:10] = 1  # eight pixels are drawn bright that are labelled dark
    return TinyDataset([target], [drawn])


@pytest.mark.parametrize(
    "protocol",
    [
        Protocol("slide", window=(6, 6), stride=(4, 4)),
        Protocol("slide", window=(30, 30), stride=(30, 30)),
        Protocol("slide", window=(6, 6), stride=(4, 4), average="logits", flip=True),
        Protocol(flip=True),
        Protocol(scales=(1.0, 2.0), flip=True),
        Protocol(scales=(1.0,), fusion="max", flip=True),
    ],
)
def test_a_network_that_looks_at_one_pixel_scores_alike_under_all(protocol: Protocol) -> None:
    plain = evaluate(Threshold(), halves())
    other = evaluate(Threshold(), halves(), protocol=protocol)
    assert np.array_equal(other.confusion, plain.confusion)
    assert other.protocol["name"] == protocol.name


def test_crops_are_scored_at_their_own_size() -> None:
    evaluation = evaluate(Threshold(), halves(), protocol=Protocol("crop", window=(12, 12)))
    # Columns 4 to 15: 72 pixels each, and the same eight are wrong.
    assert evaluation.confusion.tolist() == [[64, 8], [0, 72]]
    assert evaluation.protocol["comparable"] == "only with old tables made this way"


def test_resized_crops_are_scored_in_their_pixels() -> None:
    evaluation = evaluate(Threshold(), halves(), protocol=Protocol("crop", window=(24, 24)))
    assert evaluation.confusion.sum() == 24 * 24


def test_cropped_data_set_keeps_names_and_classes() -> None:
    cropped = CenterCropped(halves(), (6, 6))
    assert (len(cropped), cropped.name(0), cropped.split) == (1, "image_0", "val")
    assert cropped.image(0).shape == (6, 6, 3)
    assert cropped.label_map(0).shape == (6, 6)


def test_anything_that_gives_logits_is_scored_by_the_same_evaluator() -> None:
    model = Threshold().eval()
    evaluation = evaluate_logits(whole(model, model.facts), halves(), facts=model.facts)
    assert evaluation.to_dict() == evaluate(model, halves()).to_dict()


def test_a_window_must_be_known() -> None:
    with pytest.raises(InputError, match="--window 360x480"):
        evaluate(Threshold(), halves(), protocol=Protocol("slide"))
