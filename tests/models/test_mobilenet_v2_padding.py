import pytest
import torch
import torch.nn.functional as F
from torch import nn

from dualseg.core.errors import InputError
from dualseg.models.backbones.create import create_backbone
from dualseg.models.backbones.timm_backbone import TimmBackbone


def randomize_norms(network):
    """Batch norms that make something of a zero."""
    for module in network.modules():
        if isinstance(module, nn.BatchNorm2d):
            nn.init.normal_(module.running_mean, std=0.5)
            nn.init.uniform_(module.running_var, 0.5, 1.5)
            nn.init.normal_(module.bias, std=0.5)


def block_padded_first(block, maps, dilation, stride):
    """Written out: zeros around the block's input, no padding in any convolution."""

    def norm(value, layer):
        return F.batch_norm(
            value, layer.running_mean, layer.running_var, layer.weight, layer.bias, eps=layer.eps
        )

    padded = F.pad(maps, (dilation,) * 4)
    inner = F.relu6(norm(F.conv2d(padded, block.conv_pw.weight), block.bn1))
    depthwise = F.conv2d(
        inner, block.conv_dw.weight, stride=stride, dilation=dilation, groups=inner.shape[1]
    )
    inner = F.relu6(norm(depthwise, block.bn2))
    result = norm(F.conv2d(inner, block.conv_pwl.weight), block.bn3)
    return result + maps if maps.shape == result.shape else result


@pytest.mark.parametrize(
    ("group", "block", "channels", "dilation", "stride"),
    [(1, 0, 16, 1, 2), (2, 1, 32, 1, 1), (5, 1, 160, 1, 1), (6, 0, 160, 2, 1)],
)
def test_blocks_pad_before_they_expand(group, block, channels, dilation, stride):
    backbone = TimmBackbone(
        "mobilenet_v2", output_stride=16, first_block="group", pad_before_expand=True
    ).eval()
    randomize_norms(backbone)
    module = backbone.body.blocks[group][block]
    maps = torch.randn(1, channels, 9, 12)
    expected = block_padded_first(module, maps, dilation, stride)
    torch.testing.assert_close(module(maps), expected)


def test_only_the_border_differs_from_padding_the_depthwise():
    maps = torch.randn(1, 32, 9, 12)
    backbone = TimmBackbone("mobilenet_v2", output_stride=16).eval()
    other = TimmBackbone("mobilenet_v2", output_stride=16, pad_before_expand=True).eval()
    randomize_norms(backbone)
    other.load_state_dict(backbone.state_dict())
    inside, before = (b.body.blocks[2][1](maps) for b in (backbone, other))
    torch.testing.assert_close(inside[..., 1:-1, 1:-1], before[..., 1:-1, 1:-1])
    assert (inside[..., 0, :] - before[..., 0, :]).abs().max() > 0.01


def test_sizes_stay_as_declared():
    backbone = TimmBackbone("mobilenet_v2", output_stride=16, pad_before_expand=True).eval()
    features = backbone(torch.zeros(1, 3, 65, 97))
    assert [f.shape[-2] for f in features] == [33, 17, 9, 5, 5]


def test_an_unpadded_stem_loses_the_last_row():
    backbone = TimmBackbone("mobilenet_v2", output_stride=16, pad_stem=False).eval()
    assert backbone.body.conv_stem.padding == (0, 0)
    # (64 - 3) // 2 + 1 = 31 and (65 - 3) // 2 + 1 = 32 positions after the stem.
    assert [f.shape[-2] for f in backbone(torch.zeros(1, 3, 64, 64))] == [31, 16, 8, 4, 4]
    assert [f.shape[-2] for f in backbone(torch.zeros(1, 3, 65, 65))] == [32, 16, 8, 4, 4]


@pytest.mark.parametrize("options", [{}, {"pad_before_expand": True}, {"pad_stem": False}])
def test_listed_dilations_that_say_what_the_rules_gave_change_nothing(options):
    ruled = TimmBackbone("mobilenet_v2", output_stride=16, **options).eval()
    listed = {
        name: module.dilation[0]
        for name, module in ruled.body.named_modules()
        if isinstance(module, nn.Conv2d) and module.dilation[0] > 1
    }
    assert listed == {"blocks.5.1.conv_dw": 2, "blocks.5.2.conv_dw": 2, "blocks.6.0.conv_dw": 2}
    backbone = create_backbone(
        "mobilenet_v2", output_stride=16, options=options | {"dilations": listed}
    ).eval()
    backbone.load_state_dict(ruled.state_dict())
    images = torch.randn(1, 3, 64, 65)
    for feature, expected in zip(backbone(images), ruled(images), strict=True):
        torch.testing.assert_close(feature, expected)


@pytest.mark.parametrize("options", [{"pad_before_expand": True}, {"pad_stem": False}])
def test_padding_options_on_another_family_are_refused(options):
    with pytest.raises(InputError, match="is for mobilenet_v2; leave it out with resnet18"):
        TimmBackbone("resnet18", **options)
