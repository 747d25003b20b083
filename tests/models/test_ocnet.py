import pytest
import torch
import torch.nn.functional as F
from functional_layers import (
    Weights,
    info,
    parameters_without_gradient,
    random_features,
    with_random_norms,
)
from torch import nn

from dualseg.models.heads.ocnet import OCNetHead

FEATURES = info((16, 4), (48, 8))
VARIANTS = ("base", "pyramid", "asp")
SIZES = ((67, 99), (129, 65), (33, 145))  # maps of 9x13, 17x9, 5x19: the last below the 6x6 grid


class Reference(Weights):
    """OCNet's layers, with leaky batch norms."""

    def leaky(self, key, maps, *, size=3, dilation=1):
        return F.leaky_relu(self.conv_bn(key, maps, size=size, dilation=dilation), 0.01)

    def attention(self, key, maps):
        """Among all positions of these maps."""
        keys = self.leaky(f"{key}.key", maps, size=1).flatten(2)
        values = self.conv(f"{key}.value", maps, size=1).flatten(2)
        weights = torch.softmax(keys.mT @ keys / keys.shape[1] ** 0.5, dim=2)
        context = (values @ weights.mT).unflatten(2, maps.shape[-2:])
        linear, bias = self.tensors[f"{key}.output.weight"], self.tensors[f"{key}.output.bias"]
        return F.conv2d(context, linear[:, :, None, None], bias)

    def base(self, maps):
        context = self.attention("context.attention", maps)
        return self.leaky("context.fuse", torch.cat([context, maps], dim=1), size=1)

    def pyramid(self, maps):
        joined = [self.leaky("context.widen", maps, size=1)]
        for i, grid in enumerate((1, 2, 3, 6)):
            context = torch.full_like(maps, torch.nan)
            for rows in bounds(maps.shape[2], grid):
                for columns in bounds(maps.shape[3], grid):
                    region = maps[:, :, rows, columns]
                    if region.numel():
                        found = self.attention(f"context.attentions.{i}", region)
                        context[:, :, rows, columns] = found
            joined.append(context)
        return self.leaky("context.fuse", torch.cat(joined, dim=1), size=1)

    def asp(self, maps, align_corners):
        halved = F.max_pool2d(self.leaky("context.reduce", maps), 2)
        context = F.interpolate(
            self.attention("context.attention", halved),
            size=maps.shape[-2:],
            mode="bilinear",
            align_corners=align_corners,
        )
        joined = [self.leaky("context.project", context, size=1)]
        joined.append(self.leaky("context.branches.0", maps, size=1))
        for i, rate in enumerate((12, 24, 36), start=1):
            joined.append(self.leaky(f"context.branches.{i}", maps, dilation=rate))
        return self.leaky("context.fuse", torch.cat(joined, dim=1), size=1)


def bounds(size, grid):
    """Steps of floor(size / grid); the last one ends where the map does."""
    step = size // grid
    return [slice(i * step, (i + 1) * step if i < grid - 1 else size) for i in range(grid)]


def random_head(variant, **options):
    head = with_random_norms(OCNetHead(FEATURES, variant=variant, channels=24, **options))
    for layer in head.modules():
        if isinstance(layer, nn.Linear):
            nn.init.normal_(layer.weight, 0, 0.3)
            nn.init.normal_(layer.bias, 0, 0.3)
    for name, parameter in head.named_parameters():
        if ".key." in name or ".value." in name:
            parameter.data *= 3  # so that positions differ in what they attend to
    return head


@pytest.mark.parametrize("size", SIZES)
def test_base_is_attention_beside_its_input(size):
    head = random_head("base")
    features = random_features(FEATURES, size)
    weights = Reference(head)
    expected = weights.base(weights.leaky("reduce", features[-1]))
    torch.testing.assert_close(head(features).features, expected, rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("size", SIZES)
def test_pyramid_attends_inside_the_regions_of_four_grids(size):
    head = random_head("pyramid")
    features = random_features(FEATURES, size)
    weights = Reference(head)
    expected = weights.pyramid(weights.conv_bn("reduce", features[-1]))  # no activation
    torch.testing.assert_close(head(features).features, expected, rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("align_corners", [False, True])
@pytest.mark.parametrize("size", SIZES)
def test_asp_attends_at_half_the_size_beside_dilated_branches(size, align_corners):
    head = random_head("asp", align_corners=align_corners)
    features = random_features(FEATURES, size)
    weights = Reference(head)
    expected = weights.asp(weights.leaky("reduce", features[-1]), align_corners)
    torch.testing.assert_close(head(features).features, expected, rtol=1e-4, atol=1e-5)


def test_widths_are_the_authors():
    def widths(attention):
        key, value, output = attention.key[0], attention.value, attention.output
        return key.out_channels, value.out_channels, output.out_features

    with torch.device("meta"):
        heads = {name: OCNetHead(info((2048, 8)), variant=name) for name in VARIANTS}
    assert {name: head.dropout for name, head in heads.items()} == {
        "base": 0.05,
        "pyramid": 0.05,
        "asp": 0.1,
    }
    assert widths(heads["base"].context.attention) == (256, 256, 512)
    assert widths(heads["asp"].context.attention) == (128, 256, 256)
    assert [widths(a) for a in heads["pyramid"].context.attentions] == [(256, 512, 512)] * 4
    joined = [head.context.fuse[0].in_channels for head in heads.values()]
    assert joined == [2 * 512, 2 * 2048, 5 * 256]
    assert {(h.out_channels, h.out_stride, h.side_info) for h in heads.values()} == {(512, 8, ())}


@pytest.mark.parametrize("variant", VARIANTS)
def test_context_starts_at_zero(variant):
    context = OCNetHead(FEATURES, variant=variant, channels=24).context
    attentions = context.attentions if variant == "pyramid" else [context.attention]
    for attention in attentions:
        maps = torch.randn(1, attention.value.in_channels, 9, 13)
        assert attention(maps).shape == maps.shape
        assert not attention(maps).any()


@pytest.mark.parametrize("variant", VARIANTS)
@pytest.mark.parametrize("stride", [8, 32])
def test_one_small_image_trains_every_parameter(variant, stride):
    features = info((16, 4), (48, stride))  # at stride 32 ASP's attention sees one position
    head = OCNetHead(features, variant=variant, channels=24).train()
    head(random_features(features, (64, 64), batch=1)).features.square().sum().backward()
    assert parameters_without_gradient(head) == []
    assert all(p.grad.isfinite().all() for p in head.parameters())


@pytest.mark.parametrize("variant", VARIANTS)
def test_bf16_stays_near_fp32(variant):
    torch.manual_seed(0)
    head = random_head(variant)
    features = random_features(FEATURES, (67, 99))
    with torch.no_grad():
        exact = head(features).features
        with torch.autocast("cpu", torch.bfloat16):
            rounded = head(features).features
    assert float((rounded.float() - exact).norm() / exact.norm()) < 0.03
