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
from torch import nn

from dualseg.core.errors import InputError
from dualseg.models.heads.deeplab_v3_plus import VARIANTS, DeepLabV3PlusHead

FEATURES = info((8, 4), (16, 8), (32, 16))
RATES = (6, 12, 18)
SEPARABLE = {"separable", "single_separable", "bottleneck", "smp"}


def build(variant, **options):
    return DeepLabV3PlusHead(FEATURES, atrous_rates=RATES, variant=variant, **options)


class Reference(Weights):
    """The head once more, from what the papers and ports say of each variant."""

    def __init__(self, head, variant):
        super().__init__(head)
        self.is_separable = variant in SEPARABLE
        self.norm_between = variant == "bottleneck"

    def conv_3x3(self, key, maps, dilation=1):
        if not self.is_separable:
            return self.conv_bn_relu(key, maps, dilation=dilation)
        maps = self.conv(f"{key}.0", maps, dilation=dilation, groups=maps.shape[1])
        if not self.norm_between:
            return self.norm(f"{key}.2", self.conv(f"{key}.1", maps, size=1)).relu()
        maps = self.conv(f"{key}.3", self.norm(f"{key}.1", maps).relu(), size=1)
        return self.norm(f"{key}.4", maps).relu()

    def aspp(self, deepest):
        branches = [self.conv_bn_relu("aspp.branches.0", deepest, size=1)]
        branches += [
            self.conv_3x3(f"aspp.branches.{i}", deepest, rate) for i, rate in enumerate(RATES, 1)
        ]
        branches.append(self.image_pooling("aspp.branches.4", deepest))
        project_size = 3 if self.norm_between else 1
        return self.conv_bn_relu("aspp.project.0", torch.cat(branches, dim=1), size=project_size)


DECODERS = {  # keys of the decoder's 3x3, in order
    "separable": ("fuse.0", "fuse.1"),
    "standard": ("fuse.0", "fuse.2"),
    "single": ("fuse",),
    "single_separable": ("fuse",),
    "bottleneck": ("fuse.0", "fuse.1"),
    "smp": ("fuse",),
}


@pytest.mark.parametrize("align_corners", [False, True])
@pytest.mark.parametrize("variant", VARIANTS)
def test_every_variant_is_what_it_says(variant, align_corners):
    head = with_random_norms(
        build(variant, channels=20, low_level_channels=12, align_corners=align_corners)
    )
    features = random_features(FEATURES, (65, 97))
    reference = Reference(head, variant)
    context = reference.aspp(features[-1])
    if variant == "smp":
        context = reference.conv_3x3("refine", context)
    low_level = reference.conv_bn_relu("low_level", features[0], size=1)
    context = enlarge(context, low_level, align_corners=align_corners)
    expected = torch.cat([context, low_level], dim=1)
    for key in DECODERS[variant]:
        expected = reference.conv_3x3(key, expected)
    torch.testing.assert_close(head(features).features, expected, rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("variant", VARIANTS)
def test_with_decoder_channels_the_expanding_path_takes_the_decoders_place(variant):
    widths = [12, 10, 6]
    head = with_random_norms(build(variant, channels=20, decoder_channels=widths[:2]))
    features = random_features(FEATURES, (65, 97))
    reference = Reference(head, variant)
    context = reference.aspp(features[-1])
    if variant == "smp":
        context = reference.conv_3x3("refine", context)
    found = head(features).features
    assert head.path is not None
    torch.testing.assert_close(found, head.path(context, features), rtol=1e-4, atol=1e-5)
    assert (head.out_channels, head.out_stride) == (10, 4)
    assert found.shape[1:] == (10, 17, 25)
    with pytest.raises(InputError, match="needs a feature at stride 2; this backbone gives"):
        build(variant, decoder_channels=widths)


@pytest.mark.parametrize(
    ("variant", "channels", "classifier_dropout"),
    [
        ("separable", 256, 0.0),
        ("standard", 256, 0.0),
        ("single", 256, 0.0),
        ("single_separable", 256, 0.0),
        ("bottleneck", 512, 0.1),
        ("smp", 256, 0.0),
    ],
)
def test_widths_and_dropout_of_the_sources(variant, channels, classifier_dropout):
    head = build(variant)
    assert (head.out_channels, head.out_stride, head.dropout) == (channels, 4, classifier_dropout)
    assert head.low_level[0].out_channels == 48


@pytest.mark.parametrize(
    ("variant", "probabilities"),
    [
        ("separable", [0.5]),
        ("standard", [0.5, 0.5, 0.1]),
        ("single", [0.1]),
        ("bottleneck", [0.0]),
        ("smp", [0.5]),
    ],
)
def test_dropout_inside(variant, probabilities):
    found = [m.p for m in build(variant).modules() if isinstance(m, nn.Dropout)]
    assert found == probabilities
    changed = build(variant, dropout=0.0)
    assert next(m.p for m in changed.modules() if isinstance(m, nn.Dropout)) == 0.0


def test_smp_is_smps_decoder():
    decoder = pytest.importorskip("segmentation_models_pytorch.decoders.deeplabv3.decoder")
    theirs = with_random_norms(
        decoder.DeepLabV3PlusDecoder([3, 8, 8, 16, 32, 32], 5, 20, RATES, 16, True, 0.5)
    )
    ours = build("smp", channels=20, align_corners=True).eval()
    names = {
        **{f"aspp.0.convs.{i}.{j}": f"aspp.branches.{i}.{j}" for i in (0,) for j in (0, 1)},
        **{f"aspp.0.convs.{i}.0": f"aspp.branches.{i}" for i in (1, 2, 3)},
        **{f"aspp.0.convs.{i}.1": f"aspp.branches.{i}.2" for i in (1, 2, 3)},
        "aspp.0.convs.4.1": "aspp.branches.4.conv",
        "aspp.0.convs.4.2": "aspp.branches.4.norm",
        "aspp.0.project": "aspp.project.0",
        "aspp.1": "refine",
        "aspp.2": "refine.2",
        "block1": "low_level",
        "block2.0": "fuse",
        "block2.1": "fuse.2",
    }
    ours.load_state_dict(renamed(theirs, names))
    features = random_features(FEATURES, (64, 96))  # smp refuses sizes its strides do not divide
    fine, deepest = features[0], features[-1]
    expected = theirs([None, None, fine, None, None, deepest])
    torch.testing.assert_close(ours(features).features, expected)


@pytest.mark.parametrize("decoder_channels", [None, [12, 10, 8]])
@pytest.mark.parametrize("variant", VARIANTS)
def test_one_small_image_trains_every_parameter(variant, decoder_channels):
    features = info((8, 4), (8, 8), (8, 16), (16, 32))
    head = DeepLabV3PlusHead(
        features,
        atrous_rates=RATES,
        variant=variant,
        channels=16,
        decoder_channels=decoder_channels,
    ).train()
    head(random_features(features, (64, 64), batch=1)).features.square().sum().backward()
    assert parameters_without_gradient(head) == []
