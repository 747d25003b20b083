from pathlib import Path

import pytest
import torch
import torch.nn.functional as F
from torch import nn

from dualseg.core.errors import InputError
from dualseg.models.backbones.create import create_backbone
from dualseg.models.backbones.drn import DRN, PLANS, rename_weights
from dualseg.models.backbones.weights import load_published
from reference.golden import compare, load_golden
from reference.original_weights import original_tensors
from reference.random_weights import random_image

GOLDEN = Path(__file__).parents[1] / "reference" / "golden" / "networks"


def dilations(layer):
    """Dilation of every 3x3 convolution, in order."""
    return [
        m.dilation[0]
        for m in layer.modules()
        if isinstance(m, nn.Conv2d) and m.kernel_size == (3, 3)
    ]


@pytest.mark.parametrize("name", PLANS)
def test_declared_channels_and_strides_are_true(name):
    with torch.device("meta"):
        network = DRN(name).eval()
        features = network(torch.zeros(1, 3, 65, 97))
    for found, (channels, stride) in zip(features, network.feature_info, strict=True):
        assert found.shape == (1, channels, -(-65 // stride), -(-97 // stride))
    assert [info.stride for info in network.feature_info] == [1, 2, 4, 8, 8, 8]


@pytest.mark.parametrize("name", ["drn_a_50", "drn_c_26", "drn_c_58", "drn_d_24", "drn_d_54"])
@torch.no_grad()
def test_it_is_the_authors_network(name):
    golden = load_golden(GOLDEN / f"fyu_{name}.npz")
    weights = original_tensors(golden.shapes)
    network = create_backbone(name, output_stride=8)
    load_published(network, rename_weights(weights), source="fyu/drn")  # type: ignore[arg-type]
    network.eval()  # type: ignore[attr-defined]
    classifier = weights["fc.weight"].reshape(19, -1, 1, 1)
    for size, sample in golden.outputs.items():
        logits = F.conv2d(network(random_image(size))[-1], classifier, weights["fc.bias"])
        compare(F.interpolate(logits, size, mode="bilinear", align_corners=False), sample)


@pytest.mark.parametrize(
    ("name", "parameters"),
    [  # Yu et al. 2017, table 1 (C) and the authors' model table, without the classifier of 513 000
        ("drn_c_26", 21.1e6),
        ("drn_c_42", 31.2e6),
        ("drn_c_58", 40.5e6),
        ("drn_d_54", 35.8e6),
        ("drn_d_105", 54.8e6),
    ],
)
def test_parameters_are_those_published(name, parameters):
    with torch.device("meta"):
        network = DRN(name)
    counted = sum(p.numel() for p in network.parameters()) + 513_000
    assert counted == pytest.approx(parameters, rel=0.01)


def test_every_block_of_layers_5_and_6_is_dilated_the_first_too():
    network = DRN("drn_d_38")
    assert dilations(network.layer5) == [2] * 12
    assert dilations(network.layer6) == [4] * 6
    assert dilations(network.layer7) == [2]
    assert dilations(network.layer8) == [1]
    assert dilations(network.layer4) == [1] * 8


def test_the_low_level_feature_of_d_54_has_256_channels():
    assert DRN("drn_d_54").feature_info[2] == (256, 4)


def test_a_batch_of_one_reaches_every_parameter():
    network = DRN("drn_c_26").train()
    sum(f.square().mean() for f in network(torch.randn(1, 3, 64, 64))).backward()
    assert [n for n, p in network.named_parameters() if p.grad is None] == []


def test_what_is_never_used_is_left_out_of_published_weights():
    weights = DRN("drn_d_22").state_dict()
    published = {**weights, "fc.weight": torch.zeros(1), "fc.bias": torch.zeros(1)}
    assert list(rename_weights(published)) == list(weights)


def test_other_names_and_strides_are_refused():
    with pytest.raises(InputError, match=r"did you mean .*drn_d_22"):
        DRN("drn_d_23")
    with pytest.raises(InputError, match="use 8"):
        DRN("drn_d_22", output_stride=16)
