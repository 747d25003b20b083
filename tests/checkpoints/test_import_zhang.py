"""Networks of FastFCN, DANet and PyTorch-Encoding, against answers of their own code."""

import pytest
import torch

from dualseg.checkpoints.importers import zhang
from dualseg.core.errors import InputError
from reference.originals import (
    Original,
    assert_other_logits,
    assert_recognised,
    assert_same_logits,
)

PSP_JPU = Original(zhang, "psp_resnet50_jpu")
DANET = Original(zhang, "danet_resnet101_multigrid")
ORIGINALS = [
    PSP_JPU,
    DANET,
    Original(zhang, "fcn_resnet50"),
    Original(zhang, "deeplabv3_resnet50_jpu"),
    Original(zhang, "danet_resnet50"),
    Original(zhang, "encnet_resnet50"),
    Original(zhang, "encnet_resnet50_jpu"),
]
OTHER_COMBINATIONS = [
    Original(zhang, "psp_resnet50"),
    Original(zhang, "fcn_resnet50_jpu"),
    Original(zhang, "deeplabv3_resnet101"),
    Original(zhang, "encnet_resnet50_lateral"),
]


@pytest.mark.parametrize("original", ORIGINALS, ids=lambda original: original.golden)
def test_the_logits_are_those_of_the_original(original: Original):
    assert_recognised(original)
    assert_same_logits(original)


@pytest.mark.oracle
@pytest.mark.parametrize("original", OTHER_COMBINATIONS, ids=lambda original: original.golden)
def test_the_logits_of_other_combinations_are_those_of_the_original(original: Original):
    assert_recognised(original)
    assert_same_logits(original)


@pytest.mark.parametrize(
    ("original", "changes"),
    [
        (PSP_JPU, {"align_corners": False}),
        (DANET, {"multi_grid": None}),
        (DANET, {"first_block": "full"}),
    ],
    ids=str,
)
def test_same_tensors_in_another_network_give_other_logits(original: Original, changes: dict):
    assert_other_logits(original, **changes)


def test_the_classifier_of_imagenet_is_dropped_by_name():
    assert set(PSP_JPU.translate().dropped) == {"pretrained.fc.weight", "pretrained.fc.bias"}


@pytest.mark.parametrize(
    ("name", "shape", "what"),
    [
        ("jpu.jum_1.conv_l.0.weight", (256, 1024, 3, 3), "JPU_X"),
        ("pretrained.layer1.0.downsample.2.weight", (256,), "a ResNet-D"),
    ],
)
def test_what_is_not_covered_is_refused_with_the_reason(name: str, shape: tuple, what: str):
    tensors = {**PSP_JPU.checkpoint.tensors, name: torch.zeros(shape)}
    with pytest.raises(InputError, match=f"lineage with {what}"):
        zhang.recognise(tensors)


def test_the_classifier_of_whole_images_is_dropped_by_name():
    dropped = Original(zhang, "encnet_resnet50").translate().dropped
    assert dropped["head.encmodule.selayer.bias"] == "classifies whole images, for training alone"
