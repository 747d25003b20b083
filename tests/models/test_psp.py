import pytest
import torch
from functional_layers import (
    Weights,
    enlarge,
    info,
    parameters_without_gradient,
    random_features,
    renamed,
    with_random_norms,
)

from dualseg.core.errors import InputError
from dualseg.models.heads.psp import PSPHead

FEATURES = info((8, 4), (16, 8), (32, 16))


def grid_means(maps, cells):
    """Cell i of n covers floor(i * size / n) up to ceil((i + 1) * size / n)."""

    def spans(size):
        return [slice(i * size // cells, -(-(i + 1) * size // cells)) for i in range(cells)]

    height, width = maps.shape[-2:]
    rows = [
        torch.stack([maps[:, :, r, c].mean((2, 3)) for c in spans(width)], dim=2)
        for r in spans(height)
    ]
    return torch.stack(rows, dim=2)


@pytest.mark.parametrize("align_corners", [False, True])
def test_standard_joins_the_feature_with_its_means_over_four_grids(align_corners):
    head = with_random_norms(PSPHead(FEATURES, align_corners=align_corners))
    features = random_features(FEATURES, (145, 209))  # a 10x14 map: no grid divides it
    weights = Weights(head)
    levels = [
        enlarge(
            weights.conv_bn_relu(f"levels.{i}", grid_means(features[-1], cells), size=1),
            features[-1],
            align_corners=align_corners,
        )
        for i, cells in enumerate((1, 2, 3, 6))
    ]
    expected = weights.conv_bn_relu("fuse", torch.cat([features[-1], *levels], dim=1))
    torch.testing.assert_close(head(features).features, expected, rtol=1e-4, atol=1e-5)


def test_standard_has_a_quarter_of_the_channels_unless_told():
    assert PSPHead(FEATURES).out_channels == 8
    head = PSPHead(FEATURES, channels=12)
    assert head.out_channels == 12
    assert head.fuse[0].in_channels == 32 + 4 * 12


def test_smp_is_smps_decoder_with_the_feature_first():
    decoder = pytest.importorskip("segmentation_models_pytorch.decoders.pspnet.decoder")
    theirs = with_random_norms(decoder.PSPDecoder([3, 8, 16], out_channels=20))
    ours = PSPHead(FEATURES, variant="smp", channels=20, align_corners=True).eval()
    names = {f"psp.blocks.{i}.pool.1": f"levels.{i}" for i in range(4)} | {"conv": "fuse"}
    weights = renamed(theirs, names)
    pooled, feature = weights["fuse.0.weight"].split(16, dim=1)
    weights["fuse.0.weight"] = torch.cat([feature, pooled], dim=1)
    ours.load_state_dict(weights)
    features = random_features(FEATURES, (65, 97))
    torch.testing.assert_close(ours(features).features, theirs(features[:2]))


def test_smp_reads_the_first_feature_at_stride_8():
    dilated = info((8, 4), (16, 8), (32, 8), (64, 8))
    head = PSPHead(dilated, variant="smp")
    assert (head.index, head.out_stride, head.out_channels) == (1, 8, 512)
    assert head.classifier_size == 3  # its library predicts with a 3x3


def test_smp_without_stride_8_is_refused():
    with pytest.raises(InputError, match="needs a feature at stride 8"):
        PSPHead(info((8, 4), (16, 16)), variant="smp")


@pytest.mark.parametrize("pool_sizes", [(), (0, 2)])
def test_impossible_grids_are_refused(pool_sizes):
    with pytest.raises(InputError, match="each 1 or more"):
        PSPHead(FEATURES, pool_sizes=pool_sizes)


@pytest.mark.parametrize("variant", ["standard", "smp"])
def test_one_small_image_trains_every_parameter(variant):
    features = info((8, 8), (16, 32))
    head = PSPHead(features, variant=variant).train()
    head(random_features(features, (64, 64), batch=1)).features.square().sum().backward()
    assert parameters_without_gradient(head) == []
