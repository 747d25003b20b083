import pytest
import torch
import torchvision
from torch import nn

from dualseg.core.errors import InputError
from dualseg.models.backbones.timm_backbone import TimmBackbone


def dilations(stage):
    """Dilation of every 3x3 convolution, in order."""
    return [
        m.dilation[0]
        for m in stage.modules()
        if isinstance(m, nn.Conv2d) and m.kernel_size == (3, 3)
    ]


def test_contract_keeps_the_dilation_before_the_lost_stride():
    backbone = TimmBackbone("resnet50", output_stride=8, first_block="contract")
    assert dilations(backbone.body.layer3) == [1, 2, 2, 2, 2, 2]
    assert dilations(backbone.body.layer4) == [2, 4, 4]


def test_full_gives_the_first_block_its_stages_dilation():
    backbone = TimmBackbone("resnet50", output_stride=8, first_block="full")
    assert dilations(backbone.body.layer3) == [2] * 6
    assert dilations(backbone.body.layer4) == [4] * 3


def test_multi_grid_multiplies_the_last_stage():
    backbone = TimmBackbone("resnet50", output_stride=16, first_block="full", multi_grid=(1, 2, 4))
    assert dilations(backbone.body.layer4) == [2, 4, 8]


def test_multi_grid_of_another_length_is_refused():
    with pytest.raises(InputError, match="one factor of at least 1 for each of the 3 blocks"):
        TimmBackbone("resnet50", output_stride=16, multi_grid=(1, 2))


def test_multi_grid_without_blocks_is_refused():
    with pytest.raises(InputError, match="multi_grid is for ResNets"):
        TimmBackbone("mobilenet_v2", output_stride=16, multi_grid=(1, 2, 4))


@pytest.mark.parametrize(
    ("output_stride", "replace"), [(8, (False, True, True)), (16, (False, False, True))]
)
def test_contract_is_torchvisions_network(output_stride, replace):
    theirs = torchvision.models.resnet50(weights=None, replace_stride_with_dilation=replace).eval()
    ours = TimmBackbone("resnet50", output_stride=output_stride).eval()
    keys = [k for k in theirs.state_dict() if not k.startswith("fc.")]
    ours.body.load_state_dict({k: theirs.state_dict()[k] for k in keys})
    images = torch.randn(1, 3, 65, 97)
    stem = theirs.maxpool(theirs.relu(theirs.bn1(theirs.conv1(images))))
    expected = theirs.layer4(theirs.layer3(theirs.layer2(theirs.layer1(stem))))
    torch.testing.assert_close(ours(images)[-1], expected)


@pytest.mark.parametrize("output_stride", [8, 16])
def test_average_pooled_shortcuts_are_timms_network(output_stride):
    import timm

    theirs = timm.create_model("resnet26d", features_only=True, output_stride=output_stride).eval()
    ours = TimmBackbone("resnet26d", output_stride=output_stride).eval()
    ours.body.load_state_dict(theirs.state_dict())
    images = torch.randn(1, 3, 64, 96)
    for mine, wanted in zip(ours(images), theirs(images), strict=True):
        torch.testing.assert_close(mine, wanted)


def test_mobilenet_v2_really_reaches_stride_8():
    backbone = TimmBackbone("mobilenet_v2", output_stride=8).eval()
    features = backbone(torch.randn(1, 3, 64, 96))
    assert features[-1].shape == (1, 320, 8, 12)
