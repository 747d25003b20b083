import json

import pytest

from dualseg.core.errors import InputError
from dualseg.core.facts import ModelFacts, default_labels
from dualseg.core.labels import LabelSpec, voc_palette

RED, GREEN = (255, 0, 0), (0, 255, 0)


def test_the_voc_palette_begins_as_published():
    assert voc_palette(4) == ((0, 0, 0), (128, 0, 0), (0, 128, 0), (128, 128, 0))
    assert voc_palette(256)[255] == (224, 224, 192)


def test_values_are_identity_unless_given():
    labels = LabelSpec(("a", "b"), (RED, GREEN))
    assert labels.values == {0: 0, 1: 1, 255: 255}
    assert labels.num_classes == 2


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ((("a", "a"), (RED, GREEN)), "stand twice: a"),
        ((("a",), (RED, GREEN)), "2 colours for 1 classes"),
        (((), ()), "0 classes given"),
        ((("a",), (RED,), {3: 9}), "ids that do not exist"),
        ((("a",), ((0, 0, 256),)), r"the palette holds \(0, 0, 256\)"),
        ((("a",), ((-1, 0, 0),)), r"the palette holds \(-1, 0, 0\)"),
        ((("a", "b"), (RED, GREEN), {}, 1), "ignore_index is 1; .* may be 2 to 255"),
        ((("a", "b"), (RED, GREEN), {}, 256), "ignore_index is 256; .* may be 2 to 255"),
    ],
)
def test_contradictions_are_refused(arguments, message):
    with pytest.raises(InputError, match=message):
        LabelSpec(*arguments)


@pytest.mark.parametrize(
    "value",
    [
        {"mean": (float("inf"), 0.0, 0.0)},
        {"std": (0.2, 0.2, float("nan"))},
        {"std": (0.2, 0.2, 0.0)},
        {"input_scale": float("inf")},
        {"training_size": (0, 8)},
        {"score": -0.1},
    ],
    ids=str,
)
def test_facts_that_cannot_be_are_refused(value):
    (name,) = value
    with pytest.raises(InputError, match=f"^{name} is .*; it must be"):
        ModelFacts({}, default_labels(2), **value)


def test_model_facts_survive_json():
    facts = ModelFacts(
        architecture={"name": "fcn"},
        labels=default_labels(3),
        input_scale=0.5,
        training_size=(4, 6),
        source="test",
        score=0.5,
        protocol={"name": "whole"},
    )
    assert ModelFacts.from_dict(json.loads(json.dumps(facts.to_dict()))) == facts
