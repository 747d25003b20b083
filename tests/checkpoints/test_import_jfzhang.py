"""Networks of jfzhang95/pytorch-deeplab-xception, against answers of its own code."""

import pytest
import torch

from dualseg.checkpoints.importers import jfzhang
from dualseg.core.errors import InputError
from reference.originals import (
    Original,
    assert_other_logits,
    assert_recognised,
    assert_same_logits,
)

RESNET = Original(jfzhang, "resnet_os16")
MOBILENET = Original(jfzhang, "mobilenet_os16")


@pytest.mark.parametrize("arch", jfzhang.ARCHITECTURES)
def test_the_logits_are_those_of_the_original(arch: str):
    assert_same_logits(Original(jfzhang, arch))


@pytest.mark.parametrize("arch", ["resnet_os16", "mobilenet_os16", "drn_os8"])
def test_a_file_is_recognised_at_the_published_stride(arch: str):
    assert_recognised(Original(jfzhang, arch))


@pytest.mark.parametrize(
    "change",
    [{"first_block": "contract"}, {"multi_grid": [1, 1, 2]}, {"atrous_rates": [6, 12, 17]}],
    ids=lambda change: next(iter(change)),
)
def test_same_tensors_in_another_network_give_other_logits(change: dict):
    assert_other_logits(RESNET, **change)


@pytest.mark.parametrize(
    "change",
    [{"first_block": "full"}, {"backbone_options": {}}, {"align_corners": False}],
    ids=lambda change: next(iter(change)),
)
def test_same_mobilenet_in_another_network_gives_other_logits(change: dict):
    assert_other_logits(MOBILENET, **change)


def test_features_stored_twice_are_counted_once():
    dropped = MOBILENET.translate().dropped
    name = "backbone.high_level_features.17.conv.6.weight"
    assert dropped[name] == "a copy of backbone.features.17.conv.6.weight"
    assert len(dropped) == 51 * 6  # convolutions, each with the five tensors of its batch norm


def test_features_that_differ_from_their_copy_are_refused():
    checkpoint = MOBILENET.checkpoint
    name = "backbone.low_level_features.0.0.weight"
    checkpoint.tensors[name] = torch.zeros_like(checkpoint.tensors[name])  # type: ignore[index]
    with pytest.raises(InputError, match=f"{name} is no copy of"):
        jfzhang.translate(checkpoint, "mobilenet_os16")


def test_classes_are_those_of_voc():
    labels = MOBILENET.translate().assumed_labels
    assert labels is not None
    assert labels.class_names[:2] == ("background", "aeroplane")


def test_its_xception_is_refused_with_the_reason():
    tensors = dict(RESNET.checkpoint.tensors)
    tensors["backbone.block20.rep.1.conv1.weight"] = torch.zeros(728, 1, 3, 3)
    with pytest.raises(InputError, match="on Xception, which differs from the one dualseg has"):
        jfzhang.recognise(tensors)
