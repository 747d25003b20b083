import math

import pytest
import timm
import torch
import torchvision
from torch import nn

from dualseg.core.errors import InputError
from dualseg.models.backbones.features import index_of_stride
from dualseg.models.backbones.timm_backbone import TimmBackbone


def on_meta(name, **options):
    """Built without memory: enough for shapes and counts."""
    with torch.device("meta"):
        return TimmBackbone(name, **options)


def sizes(features):
    return [tuple(feature.shape[-2:]) for feature in features]


@pytest.mark.parametrize(
    ("stem", "first_channels"),
    [
        ("b", [3, 64]),
        ("c", [3, 32, 32, 64]),
        ("d", [3, 32, 32, 64]),
        ("s", [3, 64, 64, 128]),
        ("e", [3, 64, 64, 128]),
    ],
)
def test_stems_have_the_published_widths(stem, first_channels):
    body = on_meta("resnet18", stem=stem).body
    convolutions = [
        m for n, m in body.named_modules() if n.startswith("conv1") and hasattr(m, "kernel_size")
    ]
    widths = [convolutions[0].in_channels] + [c.out_channels for c in convolutions]
    assert widths == first_channels


@pytest.mark.parametrize(("stem", "pooled"), [("c", False), ("d", True), ("s", False), ("e", True)])
def test_stems_d_and_e_pool_in_the_shortcut(stem, pooled):
    shortcut = on_meta("resnet18", stem=stem).body.layer2[0].downsample
    assert any(isinstance(module, nn.AvgPool2d) for module in shortcut) is pooled


def test_stem_d_is_timms_resnet_d():
    theirs = timm.create_model("resnet18d", features_only=True).eval()
    ours = TimmBackbone("resnet18", stem="d").eval()
    ours.body.load_state_dict(theirs.state_dict())
    images = torch.randn(1, 3, 65, 97)
    for mine, wanted in zip(ours(images), theirs(images), strict=True):
        torch.testing.assert_close(mine, wanted)


@pytest.mark.parametrize("name", ["resnet18", "resnet34", "resnet50", "resnet101", "resnet152"])
def test_stem_b_has_torchvisions_parameters(name):
    with torch.device("meta"):
        theirs = getattr(torchvision.models, name)(weights=None)
    expected = {k: v.shape for k, v in theirs.state_dict().items() if not k.startswith("fc.")}
    ours = on_meta(name, stem="b").body
    assert {k: v.shape for k, v in ours.state_dict().items()} == expected


@pytest.mark.parametrize(
    ("name", "output_stride", "strides"),
    [
        ("test_convnext", 32, (4, 8, 16, 32)),
        ("test_convnext", 8, (4, 8, 8, 8)),
        ("efficientnet_b0", 16, (2, 4, 8, 16, 16)),
        ("regnetx_002", 8, (2, 4, 8, 8, 8)),
        ("vgg11", 32, (1, 2, 4, 8, 16, 32)),
        ("hrnet_w18_small", 32, (2, 4, 8, 16, 32)),
        ("mambaout_femto", 32, (4, 8, 16, 32)),
        ("swin_tiny_patch4_window7_224", 32, (4, 8, 16, 32)),
        ("swinv2_tiny_window8_256", 32, (4, 8, 16, 32)),
        ("test_maxvit", 32, (2, 4, 8, 16, 32)),
        ("pvt_v2_b0", 32, (4, 8, 16, 32)),
        ("vit_small_patch16_224", 16, (16, 16, 16)),
        ("vit_small_patch16_dinov3", 16, (16, 16, 16)),
        ("deit3_small_patch16_224", 16, (16, 16, 16)),
        ("vit_small_patch32_224", 32, (32, 32, 32)),
    ],
)
def test_any_architecture_takes_odd_sizes(name, output_stride, strides):
    backbone = on_meta(name, output_stride=output_stride)
    features = backbone(torch.zeros(1, 3, 65, 97, device="meta"))
    assert tuple(info.stride for info in backbone.feature_info) == strides
    assert sizes(features) == [(math.ceil(65 / s), math.ceil(97 / s)) for s in strides]
    assert [f.shape[1] for f in features] == [info.channels for info in backbone.feature_info]


def test_a_transformer_sees_the_image_padded_at_the_bottom_and_right():
    backbone = TimmBackbone("test_vit", output_stride=16).eval()
    images = torch.randn(2, 3, 50, 33)
    padded = torch.zeros(2, 3, 64, 48)
    padded[..., :50, :33] = images
    for feature, whole in zip(backbone(images), backbone.body(padded), strict=True):
        torch.testing.assert_close(feature, whole[..., :4, :3])


@pytest.mark.parametrize(
    "name", ["pvt_v2_b0", "nextvit_small", "ghostnetv2_100", "tresnet_m", "resnet18"]
)
@pytest.mark.parametrize("size", [(1, 1), (1, 70), (70, 1), (20, 20)])
def test_an_image_may_be_smaller_than_the_windows_of_a_network(name, size):
    backbone = on_meta(name, output_stride=32).eval()
    features = backbone(torch.zeros(1, 3, *size, device="meta"))
    strides = [info.stride for info in backbone.feature_info]
    assert sizes(features) == [tuple(-(-side // s) for side in size) for s in strides]


@torch.no_grad()
def test_a_small_image_is_seen_padded_to_the_smallest_the_network_takes():
    backbone = TimmBackbone("pvt_v2_b0", output_stride=32).eval()
    assert backbone.smallest == 32
    images = torch.randn(1, 3, 5, 70)
    padded = torch.zeros(1, 3, 32, 70)
    padded[..., :5, :] = images
    for feature, whole in zip(backbone(images), backbone(padded), strict=True):
        torch.testing.assert_close(feature, whole[..., : feature.shape[-2], :])


def test_a_network_that_rounds_its_map_up_to_whole_patches_has_its_declared_strides():
    body = TimmBackbone("mobilevitv2_050").eval()

    features = body(torch.zeros(1, 3, 96, 96))

    assert [tuple(f.shape[-2:]) for f in features] == [
        (-(-96 // info.stride),) * 2 for info in body.feature_info
    ]


def test_channels_last_features_come_channels_first():
    backbone = TimmBackbone("test_mambaout", output_stride=32).eval()
    images = torch.randn(1, 3, 64, 96)
    for feature, theirs in zip(backbone(images), backbone.body(images), strict=True):
        torch.testing.assert_close(feature, theirs.permute(0, 3, 1, 2))


def test_building_leaves_the_batch_norms_alone():
    body = TimmBackbone("resnet18", output_stride=16).body
    assert body.training
    assert body.bn1.num_batches_tracked == 0
    assert torch.equal(body.bn1.running_var, torch.ones(64))


@pytest.mark.parametrize(
    ("name", "output_stride", "reason"),
    [
        ("vit_small_patch16_224", 8, "cuts the image into patches of 16.*use output_stride 16"),
        ("vit_small_patch16_224", 32, "deepest feature has stride 16, use that"),
        ("vit_small_patch14_dinov2", 16, "stride 14, which is no power of two"),
        ("swin_tiny_patch4_window7_224", 16, "deepest feature has stride 32, use that"),
        ("pvt_v2_b0", 16, "shrinks what an attention looks at"),
        ("beit_base_patch16_224", 16, "does not take images of any size"),
        ("test_coatnet", 32, "does not take images of any size"),
        ("inception_v3", 32, "does not take images of any size.*power of two"),
        ("vgg11", 8, "MaxPool2d.* cannot be dilated"),
        ("hrnet_w18_small", 16, "cannot run at output_stride 16"),
        ("crossvit_9_240", 16, "no power of two"),
    ],
)
def test_what_cannot_work_is_refused_with_the_reason(name, output_stride, reason):
    with pytest.raises(InputError, match=reason) as refusal:
        on_meta(name, output_stride=output_stride)
    assert "\n" not in str(refusal.value)


def test_a_model_without_features_is_refused(monkeypatch):
    def refuse(*_args, **_options):
        raise RuntimeError("features_only not implemented for these models.")

    monkeypatch.setattr(timm, "create_model", refuse)
    with pytest.raises(InputError, match=r"gives no features .features_only not implemented"):
        TimmBackbone("naflexvit_base_patch16_gap", output_stride=16)


def test_a_single_stride_is_told_of_the_pyramid():
    info = on_meta("test_vit", output_stride=16).feature_info
    with pytest.raises(InputError, match=r"gives strides 16, 16, 16.*or neck: pyramid"):
        index_of_stride(info, 4, wanted_by="deeplabv3plus")


def test_an_unknown_backbone_lists_the_nearest():
    with pytest.raises(InputError, match="did you mean resnet18"):
        TimmBackbone("resnet81")


def test_an_unknown_stem_lists_the_allowed():
    with pytest.raises(InputError, match="there is no stem 'x'; allowed: b, c, d, e, s"):
        TimmBackbone("resnet18", stem="x")


def test_a_stem_on_another_family_is_refused():
    with pytest.raises(InputError, match="mobilenet_v2 has its own"):
        TimmBackbone("mobilenet_v2", stem="c")
