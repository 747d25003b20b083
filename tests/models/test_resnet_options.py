import pytest
import torch
import torch.nn.functional as F
import torchvision
from torch import nn

from dualseg.core.errors import InputError
from dualseg.models.backbones.timm_backbone import TimmBackbone


def heights(backbone, size):
    return [f.shape[-2] for f in backbone(torch.zeros(1, 3, size, size))]


def randomize_statistics(network):
    for module in network.modules():
        if isinstance(module, nn.BatchNorm2d):
            nn.init.normal_(module.running_mean, std=0.1)
            nn.init.uniform_(module.running_var, 0.5, 1.5)


def test_ceil_pool_keeps_the_last_window():
    backbone = TimmBackbone("resnet18", output_stride=8, ceil_pool=True).eval()
    assert [info.stride for info in backbone.feature_info] == [2, 4, 8, 8, 8]
    # 64 / 2 = 32 positions; windows of 3 with stride 2 and one zero before: 16, and one more that
    # sees only the last position.
    assert heights(backbone, 64) == [32, 17, 9, 9, 9]
    assert heights(backbone, 65) == [33, 17, 9, 9, 9]


def test_ceil_pool_is_torchvisions_network_with_its_pooling_rounded_up():
    theirs = torchvision.models.resnet18(weights=None).eval()
    theirs.maxpool = nn.MaxPool2d(3, 2, padding=1, ceil_mode=True)
    randomize_statistics(theirs)
    ours = TimmBackbone("resnet18", output_stride=32, ceil_pool=True).eval()
    ours.body.load_state_dict(
        {k: v for k, v in theirs.state_dict().items() if not k.startswith("fc.")}
    )
    images = torch.randn(1, 3, 64, 96)
    stem = theirs.maxpool(theirs.relu(theirs.bn1(theirs.conv1(images))))
    expected = theirs.layer4(theirs.layer3(theirs.layer2(theirs.layer1(stem))))
    assert expected.shape[-2:] == (3, 4)
    torch.testing.assert_close(ours(images)[-1], expected)


def caffe_bottleneck(weights, prefix, maps, *, stride, dilation):
    """Written out: the stride is on the first 1x1 and on the shortcut."""

    def convolution(name, norm, value, **options):
        value = F.conv2d(value, weights[f"{prefix}.{name}.weight"], **options)
        statistics = (weights[f"{prefix}.{norm}.running_{which}"] for which in ("mean", "var"))
        affine = weights[f"{prefix}.{norm}.weight"], weights[f"{prefix}.{norm}.bias"]
        return F.batch_norm(value, *statistics, *affine)

    inner = F.relu(convolution("conv1", "bn1", maps, stride=stride))
    inner = F.relu(convolution("conv2", "bn2", inner, padding=dilation, dilation=dilation))
    inner = convolution("conv3", "bn3", inner)
    shortcut = convolution("downsample.0", "downsample.1", maps, stride=stride)
    return F.relu(inner + shortcut)


@pytest.mark.parametrize(
    ("layer", "channels", "stride", "dilation"),
    [("layer2", 256, 2, 1), ("layer3", 512, 1, 2), ("layer4", 1024, 1, 4)],
)
def test_caffe_style_strides_on_the_first_1x1(layer, channels, stride, dilation):
    backbone = TimmBackbone("resnet50", output_stride=8, stride_on="1x1").eval()
    randomize_statistics(backbone)
    maps = torch.randn(1, channels, 11, 14)
    expected = caffe_bottleneck(
        backbone.body.state_dict(), f"{layer}.0", maps, stride=stride, dilation=dilation
    )
    torch.testing.assert_close(backbone.body.get_submodule(f"{layer}.0")(maps), expected)


def test_caffe_style_has_the_same_dilation_in_all_blocks_of_a_stage():
    with torch.device("meta"):
        body = TimmBackbone("resnet101", output_stride=8, stride_on="1x1").body
    assert {block.conv2.dilation for block in body.layer3} == {(2, 2)}
    assert {block.conv2.dilation for block in body.layer4} == {(4, 4)}
    assert body.layer2[0].conv1.stride == (2, 2)
    assert body.layer2[0].conv2.stride == (1, 1)


def test_caffe_style_needs_bottlenecks():
    with pytest.raises(InputError, match="bottlenecks, which resnet18 has none of; use resnet50"):
        TimmBackbone("resnet18", stride_on="1x1")


def test_an_unknown_place_of_the_stride_is_refused():
    with pytest.raises(InputError, match="stride_on '5x5' is unknown; use 3x3 or 1x1"):
        TimmBackbone("resnet50", stride_on="5x5")


@pytest.mark.parametrize("options", [{"ceil_pool": True}, {"stride_on": "1x1"}])
def test_resnet_options_on_another_family_are_refused(options):
    with pytest.raises(InputError, match="is for ResNets; mobilenet_v2 is none"):
        TimmBackbone("mobilenet_v2", **options)
