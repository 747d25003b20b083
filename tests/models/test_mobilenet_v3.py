import pytest
import torch
import torchvision

from dualseg.core.errors import InputError
from dualseg.models.backbones.mobilenet_v3 import MobileNetV3Large


@pytest.mark.parametrize(("output_stride", "deepest"), [(16, 16), (32, 32)])
def test_features_stand_where_torchvisions_heads_read_them(output_stride, deepest):
    backbone = MobileNetV3Large(output_stride=output_stride).eval()
    features = backbone(torch.zeros(1, 3, 65, 97))
    assert [tuple(info) for info in backbone.feature_info] == [
        (16, 2),
        (24, 4),
        (40, 8),
        (112, 16),
        (960, deepest),
    ]
    for feature, (channels, stride) in zip(features, backbone.feature_info, strict=True):
        assert feature.shape == (1, channels, -(-65 // stride), -(-97 // stride))


def test_it_is_the_backbone_of_torchvisions_lraspp():
    theirs = torchvision.models.segmentation.lraspp_mobilenet_v3_large(
        weights=None, weights_backbone=None
    ).eval()
    ours = MobileNetV3Large(output_stride=16).eval()
    ours.body.load_state_dict(theirs.backbone.state_dict())
    images = torch.randn(1, 3, 65, 97)
    expected, features = theirs.backbone(images), ours(images)
    torch.testing.assert_close(features[ours.auxiliary_index], expected["low"])
    torch.testing.assert_close(features[-1], expected["high"])


def test_auxiliary_heads_read_torchvisions_feature():
    theirs = torchvision.models.segmentation.deeplabv3_mobilenet_v3_large(
        weights=None, weights_backbone=None, aux_loss=True
    ).eval()
    ours = MobileNetV3Large(output_stride=16).eval()
    ours.body.load_state_dict(theirs.backbone.state_dict())
    images = torch.randn(1, 3, 64, 96)
    torch.testing.assert_close(ours(images)[ours.auxiliary_index], theirs.backbone(images)["aux"])


def test_batch_norms_have_torchvisions_epsilon():
    norms = [m for m in MobileNetV3Large().modules() if isinstance(m, torch.nn.BatchNorm2d)]
    assert {norm.eps for norm in norms} == {1e-3}


def test_stride_8_is_refused():
    with pytest.raises(InputError, match="cannot run at output_stride 8; use 16 or 32"):
        MobileNetV3Large(output_stride=8)
