import pytest
import timm
import torch
import torchvision
from torch import nn

from dualseg.core.errors import InputError
from dualseg.models.backbones.dilation import apply_output_stride
from dualseg.models.backbones.timm_backbone import TimmBackbone


def dilations(stage):
    """Dilation of every 3x3 convolution, in order."""
    return [
        m.dilation[0]
        for m in stage.modules()
        if isinstance(m, nn.Conv2d) and m.kernel_size == (3, 3)
    ]


def on_meta(name, **options):
    with torch.device("meta"):
        return TimmBackbone(name, **options)


def test_contract_keeps_the_dilation_before_the_lost_stride():
    body = on_meta("resnet50", output_stride=8, first_block="contract").body
    assert dilations(body.layer3) == [1, 2, 2, 2, 2, 2]
    assert dilations(body.layer4) == [2, 4, 4]


def test_full_gives_the_first_block_its_stages_dilation():
    body = on_meta("resnet50", output_stride=8, first_block="full").body
    assert dilations(body.layer3) == [2] * 6
    assert dilations(body.layer4) == [4] * 3


def test_undilated_starts_each_stage_at_one():
    body = on_meta("resnet50", output_stride=8, first_block="undilated").body
    assert dilations(body.layer3) == [1, 2, 2, 2, 2, 2]
    assert dilations(body.layer4) == [1, 4, 4]


@pytest.mark.parametrize(
    ("first_block", "output_stride", "expected"),
    [
        # Dilations of the groups of 64, 96, 160 and 320 channels.
        ("group", 16, ([1] * 4, [1] * 3, [1] * 3, [2])),  # jfzhang
        ("group", 8, ([1] * 4, [2] * 3, [2] * 3, [4])),
        ("full", 16, ([1] * 4, [1] * 3, [2] * 3, [2])),
        ("full", 8, ([2] * 4, [2] * 3, [4] * 3, [4])),  # mmsegmentation
        ("contract", 16, ([1] * 4, [1] * 3, [1, 2, 2], [2])),  # VainF
        ("contract", 8, ([1, 2, 2, 2], [2] * 3, [2, 4, 4], [4])),
    ],
)
def test_mobilenet_v2_has_the_published_dilations(first_block, output_stride, expected):
    body = on_meta("mobilenet_v2", output_stride=output_stride, first_block=first_block).body
    assert tuple(dilations(body.blocks[group]) for group in (3, 4, 5, 6)) == expected
    assert dilations(body.blocks[:3]) == [1] * 6


def test_group_is_refused_where_stages_are_no_groups():
    with pytest.raises(InputError, match="first_block group is for networks whose stages are"):
        on_meta("resnet18", output_stride=8, first_block="group")


@pytest.mark.parametrize(
    ("output_stride", "middle", "last_block", "exit_flow"),
    [(32, 1, 1, 1), (16, 1, 1, 2), (8, 2, 2, 4)],
)
def test_xception_has_deeplabs_rates(output_stride, middle, last_block, exit_flow):
    backbone = on_meta("xception65", output_stride=output_stride)
    body = backbone.body
    assert dilations(body.blocks_2) == [1, 1, 1]
    for block in range(3, 19):
        assert dilations(body.get_submodule(f"blocks_{block}")) == [middle] * 3
    assert dilations(body.blocks_19) == [last_block] * 3
    assert dilations(body.blocks_20) == [exit_flow] * 3
    assert (backbone.feature_info[1].stride, backbone.feature_info[1].channels) == (4, 256)
    assert (backbone.feature_info[-1].stride, backbone.feature_info[-1].channels) == (
        output_stride,
        2048,
    )
    features = backbone(torch.zeros(1, 3, 65, 97, device="meta"))
    assert tuple(features[1].shape[-2:]) == (17, 25)


@pytest.mark.parametrize("size", [(64, 96), (65, 97)])
@pytest.mark.parametrize("name", ["resnet18", "mobilenet_v2", "regnetx_002"])
def test_contract_holds_the_strided_network_at_every_second_position(name, size):
    strided = TimmBackbone(name, output_stride=32).eval()
    images = torch.randn(1, 3, *size)
    for output_stride, step in ((16, 2), (8, 4)):
        dilated = TimmBackbone(name, output_stride=output_stride).eval()
        dilated.load_state_dict(strided.state_dict())
        expected = strided(images)[-1]
        assert expected.std() > 0
        torch.testing.assert_close(dilated(images)[-1][..., ::step, ::step], expected)


@pytest.mark.parametrize("name", ["test_convnext", "inception_next_atto"])
def test_merged_patches_are_dilated_from_their_own_position(name):
    strided = TimmBackbone(name, output_stride=32).eval()
    images = torch.randn(1, 3, 64, 96)
    for output_stride, step in ((16, 2), (8, 4)):
        dilated = TimmBackbone(name, output_stride=output_stride).eval()
        dilated.load_state_dict(strided.state_dict())
        torch.testing.assert_close(
            dilated(images)[-1][..., ::step, ::step], strided(images)[-1], atol=1e-4, rtol=1e-4
        )


def test_multi_grid_multiplies_the_last_stage():
    body = on_meta("resnet50", output_stride=16, first_block="full", multi_grid=(1, 2, 4)).body
    assert dilations(body.layer4) == [2, 4, 8]


def test_multi_grid_multiplies_what_contract_left():
    body = on_meta("resnet50", output_stride=16, first_block="contract", multi_grid=(1, 2, 4)).body
    assert dilations(body.layer4) == [1, 4, 8]


def test_multi_grid_of_another_length_is_refused():
    with pytest.raises(InputError, match="one factor of at least 1 for each of the 3 blocks"):
        on_meta("resnet50", output_stride=16, multi_grid=(1, 2))


def test_multi_grid_without_blocks_is_refused():
    with pytest.raises(InputError, match="multi_grid is for ResNets"):
        on_meta("mobilenet_v2", output_stride=16, multi_grid=(1, 2, 4))


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


@pytest.mark.parametrize("output_stride", [8, 16])
@pytest.mark.parametrize("name", ["res2net50_14w_8s", "skresnet18"])
def test_layers_with_a_dilation_or_a_window_of_their_own_are_timms_network(name, output_stride):
    theirs = timm.create_model(name, features_only=True, output_stride=output_stride).eval()
    for norm in (m for m in theirs.modules() if isinstance(m, nn.BatchNorm2d)):
        nn.init.constant_(norm.weight, 0.5)  # the last of each block would hide it with a zero
    ours = TimmBackbone(name, output_stride=output_stride).eval()
    ours.body.load_state_dict(theirs.state_dict())
    images = torch.randn(1, 3, 64, 96)
    expected = theirs(images)[-1]
    assert expected.std() > 0
    torch.testing.assert_close(ours(images)[-1], expected)


class Chain(nn.Sequential):
    """A stem of stride 16, then what is tested; answers with its last map alone."""

    def __init__(self, *layers):
        super().__init__(
            nn.Conv2d(3, 4, 17, stride=4, padding=8), nn.Conv2d(4, 4, 9, 4, 4), *layers
        )

    def forward(self, images):
        return [super().forward(images)]


@pytest.mark.parametrize(
    "layers",
    [
        [nn.AvgPool2d(3, 2, padding=1), nn.Conv2d(4, 4, 3, padding=1)],
        [nn.AvgPool2d(2, 2, count_include_pad=False), nn.Conv2d(4, 4, 3, padding=1)],
        [nn.Conv2d(4, 4, 3, 2, padding=2, dilation=2), nn.Conv2d(4, 4, 3, padding=2, dilation=2)],
        [nn.Conv2d(4, 4, 3, 2, 1), nn.Conv2d(4, 4, 3, padding=(2, 3), dilation=(2, 3))],
    ],
)
def test_every_second_position_is_the_strided_networks(layers):
    images = torch.randn(1, 3, 128, 128)
    body = Chain(*layers)
    expected = body(images)[0]
    apply_output_stride(body, 16, "contract")
    torch.testing.assert_close(body(images)[0][..., ::2, ::2], expected)


def test_a_layer_that_runs_twice_is_dilated_once():
    twice = nn.Conv2d(4, 4, 3, padding=1)
    apply_output_stride(Chain(nn.Conv2d(4, 4, 3, 2, 1), twice, twice), 16, "contract")
    assert twice.dilation == (2, 2)


@pytest.mark.parametrize("pool", [nn.AvgPool2d(3, 1, padding=1), nn.MaxPool2d(3, 1, padding=1)])
def test_a_window_that_would_have_to_be_dilated_is_refused(pool):
    body = Chain(nn.Conv2d(4, 4, 3, 2, 1), pool)
    with pytest.raises(InputError, match=r"layer 3 \(\w+Pool2d\) cannot be dilated"):
        apply_output_stride(body, 16, "contract")
