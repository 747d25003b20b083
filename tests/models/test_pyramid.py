import pytest
import torch
import torch.nn.functional as F
from torch import nn

from dualseg.core.errors import InputError
from dualseg.models.backbones.features import FeatureInfo
from dualseg.models.catalog import create_model
from dualseg.models.necks.pyramid import SimplePyramid

VIT = [FeatureInfo(32, 16)] * 3


def test_one_stride_becomes_four():
    neck = SimplePyramid(VIT, channels=24)
    assert [tuple(info) for info in neck.feature_info] == [(24, 4), (24, 8), (24, 16), (24, 32)]
    maps = neck([torch.randn(2, 32, 5, 7)] * 3)
    assert [tuple(m.shape) for m in maps] == [
        (2, 24, 20, 28),
        (2, 24, 10, 14),
        (2, 24, 5, 7),
        (2, 24, 3, 4),
    ]


@pytest.mark.parametrize(("stride", "size"), [(8, (9, 14)), (16, (5, 7)), (32, (3, 4))])
def test_every_stride_of_the_deepest_feature_gives_the_same_maps(stride, size):
    neck = SimplePyramid([FeatureInfo(16, 4), FeatureInfo(32, stride)], channels=24)
    assert [tuple(info) for info in neck.feature_info] == [(24, 4), (24, 8), (24, 16), (24, 32)]
    maps = neck([torch.zeros(2, 16, 18, 28), torch.randn(2, 32, *size)])
    scaled = [tuple(-(-side * stride // s) for side in size) for s in (4, 8, 16, 32)]
    assert [tuple(m.shape[2:]) for m in maps] == scaled
    sum(m.square().sum() for m in maps).backward()
    assert all(p.grad is not None for p in neck.parameters())


def test_the_deepest_feature_is_read():
    neck = SimplePyramid([FeatureInfo(8, 8), FeatureInfo(32, 16), FeatureInfo(64, 32)])
    feature = torch.randn(1, 64, 2, 2)
    maps = neck([torch.zeros(1, 8, 8, 8), torch.zeros(1, 32, 4, 4), feature])
    torch.testing.assert_close(maps[3], neck.levels[3](feature))
    assert all(m.abs().sum() > 0 for m in maps)


@pytest.mark.parametrize(
    ("backbone", "output_stride"),
    [("vit_small_patch32_224", 32), ("vit_tiny_patch16_224", 16), ("resnet18", 32)],
)
def test_all_of_a_backbone_is_trained_whatever_its_stride(backbone, output_stride):
    options = {"backbone": backbone, "output_stride": output_stride, "neck": "pyramid"}
    model = create_model("deeplabv3plus", num_classes=3, **options).train()
    logits = model(torch.randn(2, 3, 40, 70)).logits
    logits.square().mean().backward()
    assert logits.shape == (2, 3, 40, 70)
    assert [name for name, p in model.named_parameters() if p.grad is None] == []


def test_the_stride_8_map_is_a_transposed_convolution_normalised_by_position():
    neck = SimplePyramid(VIT, channels=24)
    feature = torch.randn(1, 32, 3, 3)
    up = neck.levels[1][0]
    expected = torch.zeros(1, 16, 6, 6)
    for row in range(2):
        for column in range(2):
            kernel = up.weight[:, :, row, column]
            expected[..., row::2, column::2] = torch.einsum("bchw,cd->bdhw", feature, kernel)
    expected = expected + up.bias[:, None, None]
    for layer, padding in ((1, 0), (3, 1)):
        expected = F.conv2d(expected, neck.levels[1][layer].weight, padding=padding)
        centred = expected - expected.mean(dim=1, keepdim=True)
        expected = centred / (expected.var(dim=1, correction=0, keepdim=True) + 1e-6).sqrt()
    torch.testing.assert_close(neck([feature] * 3)[1], expected, atol=1e-4, rtol=1e-4)


def test_one_image_with_one_position_can_be_trained_on():
    neck = SimplePyramid(VIT, channels=24).train()
    maps = neck([torch.randn(1, 32, 1, 1)] * 3)
    sum((m * torch.randn_like(m)).sum() for m in maps).backward()
    for name, parameter in neck.named_parameters():
        assert parameter.grad is not None, name
        assert parameter.grad.abs().sum() > 0, name


def test_an_image_does_not_depend_on_its_batch():
    neck = SimplePyramid(VIT, channels=24).train()
    feature = torch.randn(3, 32, 4, 4)
    for alone, together in zip(neck([feature[:1]] * 3), neck([feature] * 3), strict=True):
        torch.testing.assert_close(alone, together[:1])


def test_only_the_strides_asked_for_are_made():
    neck = SimplePyramid(VIT, strides=(4, 16), channels=24)
    assert [tuple(info) for info in neck.feature_info] == [(24, 4), (24, 16)]
    assert [m.shape[-1] for m in neck([torch.randn(1, 32, 5, 7)] * 3)] == [28, 7]
    with pytest.raises(InputError, match="must be ascending, of 4, 8, 16 and 32"):
        SimplePyramid(VIT, strides=(16, 4))


@pytest.mark.parametrize("stride", [4, 64])
def test_a_deepest_stride_it_cannot_start_from_is_refused(stride):
    with pytest.raises(InputError, match="neck pyramid needs a deepest feature at stride 8, 16"):
        SimplePyramid([FeatureInfo(64, 4), FeatureInfo(128, stride)])


def test_it_holds_no_batch_norm():
    assert not any(isinstance(m, nn.BatchNorm2d) for m in SimplePyramid(VIT).modules())
