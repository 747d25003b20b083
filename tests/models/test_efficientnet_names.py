"""Weights under the names of EfficientNet-PyTorch fill timm's networks."""

import re

import pytest
import timm
import torch
from torch import Tensor

from dualseg.core.errors import InputError
from dualseg.models.backbones.efficientnet_names import has_their_names, with_timm_names
from dualseg.models.backbones.timm_backbone import TimmBackbone

# A network of two stages: one block without an expansion, then two with one.
WANTED = (
    "conv_stem.weight",
    "blocks.0.0.conv_dw.weight",
    "blocks.1.0.conv_pw.weight",
    "blocks.1.1.conv_pw.weight",
)


def renamed(*names: str) -> list[str]:
    weights = {name: torch.zeros(1) for name in ("_conv_stem.weight", *names)}
    return list(with_timm_names(weights, WANTED))[1:]


def test_names_around_the_blocks():
    theirs = ("_bn0.running_mean", "_conv_head.weight", "_bn1.bias", "_fc.weight")

    assert renamed(*theirs) == [
        "bn1.running_mean",
        "conv_head.weight",
        "bn2.bias",
        "classifier.weight",
    ]


def test_a_block_without_an_expansion_begins_with_its_depthwise_convolution():
    layers = ("_depthwise_conv", "_bn1", "_se_reduce", "_se_expand", "_project_conv", "_bn2")

    assert renamed(*(f"_blocks.0.{layer}.weight" for layer in layers)) == [
        "blocks.0.0.conv_dw.weight",
        "blocks.0.0.bn1.weight",
        "blocks.0.0.se.conv_reduce.weight",
        "blocks.0.0.se.conv_expand.weight",
        "blocks.0.0.conv_pw.weight",
        "blocks.0.0.bn2.weight",
    ]


def test_blocks_are_counted_through_all_stages():
    layers = ("_expand_conv", "_bn0", "_depthwise_conv", "_bn1", "_project_conv", "_bn2")

    assert renamed(*(f"_blocks.2.{layer}.weight" for layer in layers)) == [
        "blocks.1.1.conv_pw.weight",
        "blocks.1.1.bn1.weight",
        "blocks.1.1.conv_dw.weight",
        "blocks.1.1.bn2.weight",
        "blocks.1.1.conv_pwl.weight",
        "blocks.1.1.bn3.weight",
    ]


def test_what_has_no_counterpart_keeps_its_name():
    theirs = ["_blocks.3._expand_conv.weight", "_blocks.0._other.weight", "other.weight"]

    assert renamed(*theirs) == theirs


def test_other_names_are_not_taken_for_theirs():
    assert has_their_names({"_conv_stem.weight": torch.zeros(1)})
    assert not has_their_names({"conv_stem.weight": torch.zeros(1), "_bn0.weight": torch.zeros(1)})


def published(name: str) -> dict[str, Tensor]:
    """A timm network's random weights as EfficientNet-PyTorch would name them."""
    torch.manual_seed(0)
    network = timm.create_model(name)
    weights = {key: torch.randn(value.shape) for key, value in network.state_dict().items()}
    blocks = sorted(
        {tuple(map(int, re.findall(r"\d+", key)[:2])) for key in weights if "blocks" in key}
    )
    return {their_name(key, blocks): value for key, value in weights.items()}


def their_name(key: str, blocks: list[tuple[int, ...]]) -> str:
    first = {"conv_dw": "_depthwise_conv", "bn1": "_bn1", "conv_pw": "_project_conv", "bn2": "_bn2"}
    later = {"conv_pw": "_expand_conv", "bn1": "_bn0", "conv_dw": "_depthwise_conv", "bn2": "_bn1"}
    later |= {"conv_pwl": "_project_conv", "bn3": "_bn2"}
    around = {"conv_stem": "_conv_stem", "bn1": "_bn0", "conv_head": "_conv_head", "bn2": "_bn1"}
    parts = key.replace("se.conv_", "_se_").split(".")
    if parts[0] != "blocks":
        return ".".join([around.get(parts[0], "_fc"), *parts[1:]])
    place = int(parts[1]), int(parts[2])
    layers = later if place[0] else first
    return ".".join(
        ["_blocks", str(blocks.index(place)), layers.get(parts[3], parts[3]), *parts[4:]]
    )


@pytest.mark.parametrize("name", ["tf_efficientnet_lite0", "tf_efficientnet_b0"])
def test_a_published_file_fills_every_tensor(name: str, tmp_path):
    weights = published(name)
    torch.save(weights, tmp_path / "published.pth")

    body = TimmBackbone(name, pretrained=str(tmp_path / "published.pth")).body

    by_sum = {round(float(value.sum()), 3) for value in weights.values() if value.numel() > 1}
    for key, value in body.state_dict().items():
        assert value.numel() == 1 or round(float(value.sum()), 3) in by_sum, key


def test_a_file_of_a_deeper_network_is_refused(tmp_path):
    torch.save(published("tf_efficientnet_lite1"), tmp_path / "lite1.pth")

    with pytest.raises(InputError, match=r"lite1\.pth does not fit this backbone"):
        TimmBackbone("tf_efficientnet_lite0", pretrained=str(tmp_path / "lite1.pth"))


@pytest.mark.parametrize("backbone", ["efficientnet_lite0", "resnet18"])
def test_a_network_that_pads_otherwise_is_refused(backbone: str, tmp_path):
    torch.save(published("tf_efficientnet_lite0"), tmp_path / "lite0.pth")

    with pytest.raises(InputError, match=r"lite0\.pth .* it is for the backbones tf_efficientnet_"):
        TimmBackbone(backbone, pretrained=str(tmp_path / "lite0.pth"))


@pytest.mark.oracle
def test_features_are_those_of_another_library(tmp_path):
    """segmentation_models_pytorch keeps a copy of EfficientNet-PyTorch."""
    from segmentation_models_pytorch.encoders import get_encoder

    torch.manual_seed(0)
    theirs = get_encoder("efficientnet-b0", weights=None).eval()
    torch.save(theirs.state_dict(), tmp_path / "b0.pth")
    ours = TimmBackbone("tf_efficientnet_b0", pretrained=str(tmp_path / "b0.pth")).eval()
    images = torch.randn(2, 3, 64, 96)

    with torch.inference_mode():
        features, expected = ours(images), theirs(images)

    # Their finest feature is the stem's, ours the first stage's.
    for feature, other in zip(features[1:], expected[2:], strict=True):
        assert torch.allclose(feature, other, rtol=1e-4, atol=1e-5)
