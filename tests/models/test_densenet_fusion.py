import pytest
import torch
import torch.nn.functional as F

from dualseg.core.errors import InputError
from dualseg.models.backbones.densenet import DenseNet
from dualseg.models.backbones.features import FeatureInfo
from dualseg.models.heads.densenet_fusion import VARIANTS, DenseNetFusionHead

INFO = tuple(map(FeatureInfo, (3, 5, 6, 7, 8), (2, 4, 8, 16, 16)))


def features():
    return [torch.randn(1, c, -(-33 // s), -(-47 // s)) for c, s in INFO]


def enlarge(coarse, fine):
    return F.interpolate(coarse, size=fine.shape[-2:], mode="bilinear", align_corners=False)


@pytest.mark.parametrize("variant", ["newdid4", "newdid4_1", "newdid6"])
def test_coarse_maps_are_added_to_finer_ones_and_smoothed_between(variant):
    head = DenseNetFusionHead(INFO, variant=variant, channels=10).eval()
    maps = features()
    lateral = [layer(m) for layer, m in zip(head.lateral, maps[:0:-1], strict=True)]
    first = lateral[0] + lateral[1]
    second = enlarge(head.smooth[0](first), lateral[2]) + lateral[2]
    third = enlarge(head.smooth[1](second), lateral[3]) + lateral[3]
    output = head(maps)
    torch.testing.assert_close(output.features, head.finish(third))
    if variant == "newdid6":
        sides = [head.finish_sides[0](first), head.finish_sides[1](second)]
        torch.testing.assert_close(list(output.side_features), sides)
    else:
        assert output.side_features == ()


def test_smoothing_is_3x3_in_newdid4_alone():
    sizes = {v: DenseNetFusionHead(INFO, variant=v).smooth[0].kernel_size for v in VARIANTS[:4]}
    assert {v: s[0] for v, s in sizes.items()} == {
        "newdid6": 1,
        "newdid6_senet": 1,
        "newdid4": 3,
        "newdid4_1": 1,
    }


def test_the_plain_one_is_norm_and_relu_on_the_deepest_feature():
    head = DenseNetFusionHead(INFO, variant="plain").eval()
    maps = features()
    torch.testing.assert_close(head(maps).features, torch.relu(head.finish[0](maps[-1])))
    assert (head.out_channels, head.out_stride) == (8, 16)


@pytest.mark.parametrize("variant", VARIANTS)
def test_declared_channels_and_strides_are_true(variant):
    head = DenseNetFusionHead(INFO, variant=variant, channels=10)
    output = head(features())
    declared = [*head.side_info, (head.out_channels, head.out_stride)]
    for found, (channels, stride) in zip(
        [*output.side_features, output.features], declared, strict=True
    ):
        assert found.shape == (1, channels, -(-33 // stride), -(-47 // stride))


@pytest.mark.parametrize(
    ("variant", "millions", "rounding"),
    [("newdid4", 14, 0.5), ("newdid6", 11.6, 0.05)],  # as the source's result table prints them
)
def test_sizes_are_those_of_the_source(variant, millions, rounding):
    with torch.device("meta"):
        body = DenseNet("dense30k48", output_stride=16, stem="deep", compression=False)
        head = DenseNetFusionHead(body.feature_info, variant=variant)
    counted = sum(p.numel() for part in (body, head) for p in part.parameters()) / 1e6
    assert counted == pytest.approx(millions, abs=rounding)


@pytest.mark.parametrize("variant", VARIANTS)
def test_gradient_reaches_every_parameter(variant):
    head = DenseNetFusionHead(INFO, variant=variant, channels=10).train()
    output = head(features())
    sum(m.square().mean() for m in (*output.side_features, output.features)).backward()
    assert [n for n, p in head.named_parameters() if p.grad is None] == []


def test_too_few_features_are_refused():
    with pytest.raises(InputError, match="needs 4 features"):
        DenseNetFusionHead(INFO[:3])
