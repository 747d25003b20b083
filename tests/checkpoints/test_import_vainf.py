"""Networks of VainF/DeepLabV3Plus-Pytorch, against answers of its own code."""

import pytest

from dualseg.checkpoints.importers import vainf
from dualseg.core.errors import InputError
from reference.originals import (
    Original,
    assert_other_logits,
    assert_recognised,
    assert_same_logits,
)

MOBILENET = Original(vainf, "deeplabv3plus_mobilenet_os16")
ORIGINALS = [
    Original(vainf, "deeplabv3_resnet50_os8"),
    Original(vainf, "deeplabv3_resnet101_os16"),
    Original(vainf, "deeplabv3_mobilenet_os16"),
    Original(vainf, "deeplabv3plus_resnet50_os16"),
    Original(vainf, "deeplabv3plus_resnet101_os16"),
    Original(vainf, "deeplabv3plus_mobilenet_os8"),
    Original(vainf, "deeplabv3plus_resnet50_os16", "_separable"),
    Original(vainf, "deeplabv3plus_mobilenet_os16", "_separable"),
    MOBILENET,
]


@pytest.mark.parametrize("original", ORIGINALS, ids=lambda original: original.golden)
def test_the_logits_are_those_of_the_original(original: Original):
    assert_same_logits(original)


@pytest.mark.parametrize(
    "original",
    [original for original in ORIGINALS if original.arch.endswith("os16")],
    ids=lambda original: original.golden,
)
def test_a_file_is_recognised_at_the_published_stride(original: Original):
    assert_recognised(original)


@pytest.mark.parametrize(
    "change",
    [
        {"first_block": "group"},
        {"backbone_options": {"pad_stem": False}},
        {"backbone_options": {"pad_before_expand": True}},
        {"align_corners": True},
        {"atrous_rates": [6, 12, 17]},
    ],
    ids=str,
)
def test_same_tensors_in_another_network_give_other_logits(change: dict):
    assert_other_logits(MOBILENET, **change)


@pytest.mark.parametrize(
    ("arch", "first_class", "crop"),
    [
        ("deeplabv3plus_mobilenet_os16", "road", (768, 768)),
        ("deeplabv3plus_mobilenet_os8", "background", (513, 513)),
    ],
)
def test_classes_and_crop_follow_from_their_number(arch: str, first_class: str, crop: tuple):
    translation = Original(vainf, arch).translate()
    assert translation.assumed_labels is not None
    assert translation.assumed_labels.class_names[0] == first_class
    assert translation.training_size == crop


def test_other_backbones_are_refused_with_the_reason():
    tensors = {
        name: value for name, value in MOBILENET.checkpoint.tensors.items() if "aspp" in name
    }
    with pytest.raises(
        InputError, match=r"DeepLabV3\+ on a backbone other than resnet50, resnet101"
    ):
        vainf.recognise(tensors)
