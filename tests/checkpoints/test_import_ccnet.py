"""CCNet of speedinghzl/CCNet, against answers of its own code."""

import pytest
import torch

from dualseg.checkpoints.importers import ccnet
from reference.originals import (
    Original,
    assert_other_logits,
    assert_recognised,
    assert_same_logits,
)

TWICE = Original(ccnet, "resnet101_r2", negative_scales=True, is_bgr=True)
ONCE = Original(ccnet, "resnet101_r1", negative_scales=True, is_bgr=True)


@pytest.mark.parametrize("original", [TWICE, ONCE], ids=lambda original: original.arch)
def test_the_logits_are_those_of_the_original(original: Original):
    assert_same_logits(original)


def test_a_file_is_recognised_as_the_one_with_two_rounds():
    assert_recognised(TWICE)


@pytest.mark.parametrize(
    "changes",
    [
        {"head_options": {"recurrence": 1, "activation": "leaky_relu"}},
        {"head_options": {"recurrence": 2}},
        {"auxiliary_activation": "relu"},
        {"backbone_options": {}},
        {"first_block": "contract"},
    ],
    ids=str,
)
def test_same_tensors_in_another_network_give_other_logits(changes: dict):
    assert_other_logits(TWICE, **changes)


def test_scales_are_what_the_original_applied():
    name = "head.reduce.1.weight"
    theirs = TWICE.checkpoint.tensors["head.conva.1.weight"]
    assert theirs.min() < 0
    torch.testing.assert_close(TWICE.translate().weights[name], theirs.abs() + 1e-5)


def test_images_are_255_times_the_value_minus_a_mean():
    translation = TWICE.translate()
    red = (0.5 - translation.mean[0]) / translation.std[0]
    assert red == pytest.approx(0.5 * 255 - 122.67891434)


def test_names_of_2018_are_known():
    names = {"conva": "conv1a", "cca": "pc", "convb": "conv1b"}
    tensors = {
        ".".join(names.get(part, part) for part in name.split(".")): tensor
        for name, tensor in TWICE.checkpoint.tensors.items()
    }
    assert "head.pc.query_conv.weight" in tensors
    assert ccnet.recognise(tensors) == TWICE.arch
    translated = ccnet.translate(TWICE.checkpoint_of(tensors), TWICE.arch).weights
    assert translated.keys() == TWICE.translate().weights.keys()
