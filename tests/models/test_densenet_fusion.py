import pytest
import torch
import torch.nn.functional as F

from dualseg.core.errors import InputError
from dualseg.models.backbones.densenet import DenseNet
from dualseg.models.backbones.features import FeatureInfo
from dualseg.models.heads.densenet_fusion import PYRAMIDS, VARIANTS, DenseNetFusionHead

INFO = tuple(map(FeatureInfo, (3, 8, 12, 16, 20), (2, 4, 8, 16, 16)))
PYRAMID_CHANNELS = {v: {"channels": 10} if v in PYRAMIDS else {} for v in VARIANTS}


def features():
    return [torch.randn(1, c, -(-33 // s), -(-47 // s)) for c, s in INFO]


def enlarge(coarse, fine):
    return F.interpolate(coarse, size=fine.shape[-2:], mode="bilinear", align_corners=False)


@pytest.mark.parametrize("variant", ["newdid4", "newdid4_1", "newdid6"])
def test_coarse_maps_are_added_to_finer_ones_and_smoothed_between(variant):
    head = DenseNetFusionHead(INFO, variant=variant, channels=10).eval()
    maps = features()
    lateral = [layer(m) for layer, m in zip(head.fuse.lateral, maps[:0:-1], strict=True)]
    first = lateral[0] + lateral[1]
    second = enlarge(head.fuse.smooth[0](first), lateral[2]) + lateral[2]
    third = enlarge(head.fuse.smooth[1](second), lateral[3]) + lateral[3]
    output = head(maps)
    torch.testing.assert_close(output.features, head.finish(third))
    if variant == "newdid6":
        sides = [head.finish_sides[0](first), head.finish_sides[1](second)]
        torch.testing.assert_close(list(output.side_features), sides)
    else:
        assert output.side_features == ()


def test_smoothing_is_3x3_in_newdid4_alone():
    sizes = {v: DenseNetFusionHead(INFO, variant=v).fuse.smooth[0].kernel_size for v in PYRAMIDS}
    assert {v: s[0] for v, s in sizes.items()} == {
        "newdid6": 1,
        "newdid6_senet": 1,
        "newdid4": 3,
        "newdid4_1": 1,
    }


@torch.no_grad()
def test_did_sets_the_finer_maps_resized_and_squeezed_behind_the_deepest():
    head = DenseNetFusionHead(INFO, variant="did4").eval()
    maps = features()
    squeezed = [s(enlarge(m, maps[-1])) for s, m in zip(head.fuse.squeeze, maps[1:-1], strict=True)]
    assert [m.shape[1] for m in squeezed] == [2, 3, 4]
    torch.testing.assert_close(
        head(maps).features, head.finish(torch.cat([maps[-1], *squeezed], 1))
    )
    assert DenseNetFusionHead(INFO, variant="did").out_channels == 20 + 1 + 1 + 2


@torch.no_grad()
@pytest.mark.parametrize("variant", ["newdid", "newdid2"])
def test_newdid_gathers_from_fine_to_coarse(variant):
    head = DenseNetFusionHead(INFO, variant=variant).eval()
    maps = features()
    fine, middle, coarse = (s(m) for s, m in zip(head.fuse.squeeze, maps[1:-1], strict=True))

    def average(m):  # of the values there are, two by two
        return F.avg_pool2d(m, 2, ceil_mode=True, count_include_pad=False)

    gathered = head.fuse.mix[0](torch.cat([average(fine), middle], 1))
    gathered = head.fuse.mix[1](torch.cat([average(gathered), coarse], 1))
    expected = head.fuse.gate(torch.cat([gathered, maps[-1]], 1))
    torch.testing.assert_close(head(maps).features, head.finish(expected))
    assert [len(mix) for mix in head.fuse.mix] == [3 if variant == "newdid2" else 1] * 2


def test_the_plain_one_is_norm_and_relu_on_the_deepest_feature():
    head = DenseNetFusionHead(INFO, variant="plain").eval()
    maps = features()
    torch.testing.assert_close(head(maps).features, torch.relu(head.finish[0](maps[-1])))
    assert (head.out_channels, head.out_stride) == (20, 16)


@pytest.mark.parametrize("variant", VARIANTS)
def test_declared_channels_and_strides_are_true(variant):
    head = DenseNetFusionHead(INFO, variant=variant, **PYRAMID_CHANNELS[variant])
    output = head(features())
    declared = [*head.side_info, (head.out_channels, head.out_stride)]
    for found, (channels, stride) in zip(
        [*output.side_features, output.features], declared, strict=True
    ):
        assert found.shape == (1, channels, -(-33 // stride), -(-47 // stride))


@pytest.mark.parametrize(
    ("variant", "growth", "options", "millions", "rounding"),
    [  # as the source's result table prints them; newdid2 has 13.07 where it says 13.6
        ("newdid4", 48, {}, 14, 0.5),
        ("newdid6", 48, {}, 11.6, 0.05),
        ("newdid", 48, {}, 10.7, 0.05),
        ("did", 36, {"squeeze_excite": 4}, 5.9, 0.05),
        ("did4", 36, {"squeeze_excite": 4}, 6.1, 0.05),
    ],
)
def test_sizes_are_those_of_the_source(variant, growth, options, millions, rounding):
    with torch.device("meta"):
        body = DenseNet(
            f"dense30k{growth}", output_stride=16, stem="deep", compression=False, **options
        )
        head = DenseNetFusionHead(body.feature_info, variant=variant)
    counted = sum(p.numel() for part in (body, head) for p in part.parameters()) / 1e6
    assert counted == pytest.approx(millions, abs=rounding)


@pytest.mark.parametrize("variant", VARIANTS)
def test_gradient_reaches_every_parameter(variant):
    head = DenseNetFusionHead(INFO, variant=variant, **PYRAMID_CHANNELS[variant]).train()
    output = head(features())
    sum(m.square().mean() for m in (*output.side_features, output.features)).backward()
    assert [n for n, p in head.named_parameters() if p.grad is None] == []


def test_too_few_features_are_refused():
    with pytest.raises(InputError, match="needs 4 features"):
        DenseNetFusionHead(INFO[:3])


def test_unknown_variants_and_idle_channels_are_refused():
    with pytest.raises(InputError, match="did you mean newdid6"):
        DenseNetFusionHead(INFO, variant="newdid66")
    with pytest.raises(InputError, match="leave it out for did"):
        DenseNetFusionHead(INFO, variant="did", channels=10)
