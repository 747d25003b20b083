"""Networks for images of any number of bands, and weights for RGB that are made to fit them."""

import pytest
import timm
import torch
from safetensors.torch import save_file
from torch import nn

from dualseg.core.errors import InputError
from dualseg.models.backbones.create import FAMILIES, create_backbone
from dualseg.models.catalog import create_model, list_models
from dualseg.models.complexity import measure_complexity

FIRST_OF_FAMILIES = [
    (family.names[0], family.output_strides[-1]) for family in FAMILIES.values()
] + [
    ("drn_c_26", 8),
    ("drn_d_22", 8),
    ("dense30k12", 16),
    ("convnext_atto", 32),
    ("swin_tiny_patch4_window7_224", 32),
    ("vit_tiny_patch16_224", 16),
]
BACKBONE_FOR = {
    "deeplabv1": "vgg16",
    "lraspp": "mobilenet_v3_large",
    "densenet_fusion": "dense30k12",
}
RGB = torch.tensor([1.0, 2.0, 6.0]).view(1, 3, 1, 1)  # a filter whose bands differ


def first_convolution(module: nn.Module) -> nn.Conv2d:
    return next(m for m in module.modules() if isinstance(m, nn.Conv2d))


@pytest.mark.parametrize(("name", "output_stride"), FIRST_OF_FAMILIES)
@pytest.mark.parametrize("bands", [1, 4, 13])
def test_every_family_takes_any_number_of_bands(name, output_stride, bands):
    with torch.device("meta"):
        backbone = create_backbone(name, output_stride=output_stride, in_channels=bands).eval()
        features = backbone(torch.zeros(1, bands, 65, 97))
    for feature, (channels, stride) in zip(features, backbone.feature_info, strict=True):
        assert feature.shape == (1, channels, -(-65 // stride), -(-97 // stride))


@pytest.mark.parametrize("name", list_models())
def test_every_network_trains_on_five_bands(name):
    torch.manual_seed(0)
    model = create_model(
        name, backbone=BACKBONE_FOR.get(name, "resnet18"), num_classes=4, in_channels=5, dsrl=True
    )
    output = model.train()(torch.randn(2, 5, 64, 96))
    assert output.logits.shape == (2, 4, 128, 192)
    assert output.image_sr.shape == (2, 5, 128, 192)
    (output.logits.square().mean() + output.image_sr.square().mean()).backward()
    assert model.architecture["in_channels"] == 5
    rebuilt = create_model(**model.prune().architecture)
    rebuilt.load_state_dict(model.prune().state_dict())


@pytest.mark.parametrize("kind", ["espcn", "residual", "single"])
@pytest.mark.parametrize("compared", ["before_prediction", "after_prediction"])
def test_every_image_decoder_gives_the_bands_of_its_input(kind, compared):
    options = {"sisr": kind, "affinity_features": compared}
    model = create_model("fcn", backbone="resnet18", num_classes=3, in_channels=2, dsrl=options)
    output = model.train()(torch.randn(2, 2, 64, 64))
    assert output.image_sr.shape == (2, 2, 128, 128)
    assert output.features_seg.shape == output.features_sr.shape


def test_three_bands_change_no_bit_of_a_network():
    networks = []
    for options in ({}, {"in_channels": 3}):
        torch.manual_seed(0)
        networks.append(create_model("bisenet", backbone="resnet18", num_classes=3, **options))
    plain, named = (network.state_dict() for network in networks)
    assert all(torch.equal(plain[name], named[name]) for name in plain)


@pytest.mark.parametrize("wrong", [0, -1, 2.5, "3"])
def test_a_number_of_bands_that_cannot_be_is_refused(wrong):
    with pytest.raises(InputError, match=r"in_channels is .*; an image has at least 1 band"):
        create_model("fcn", num_classes=2, in_channels=wrong)


# A filter that answers 1 to red, 2 to green and 6 to blue. One band: their sum. Five bands: the
# three in turn, times 3 / 5.
ADAPTED = {1: [9.0], 2: [1.5, 3.0], 4: [0.75, 1.5, 4.5, 0.75], 5: [0.6, 1.2, 3.6, 0.6, 1.2]}


@pytest.mark.parametrize("bands", ADAPTED)
@pytest.mark.parametrize("name", ["resnet18", "vgg16", "drn_d_22", "mobilenet_v3_large"])
def test_the_first_filters_of_published_weights_follow_the_rule(tmp_path, name, bands):
    stride = 8 if name.startswith("drn") else 32
    source = create_backbone(name, output_stride=stride)
    first = first_convolution(source)
    first.weight.data[:] = RGB
    others = source.state_dict()
    if name == "mobilenet_v3_large":  # as torchvision publishes them
        weights = {key.replace("body.", "features.", 1): value for key, value in others.items()}
    else:
        weights = {key.removeprefix("body."): value for key, value in others.items()}
    path = tmp_path / "weights.safetensors"
    save_file({key: value.contiguous() for key, value in weights.items()}, path)
    backbone = create_backbone(name, output_stride=stride, in_channels=bands, pretrained=str(path))
    expected = torch.tensor(ADAPTED[bands]).view(1, bands, 1, 1)
    adapted = first_convolution(backbone).weight
    torch.testing.assert_close(adapted, expected.expand_as(adapted))
    after = backbone.state_dict()
    same = [key for key in others if torch.equal(others[key], after[key])] if bands != 3 else []
    assert len(same) == len(others) - 1  # all but the first filters


def test_gray_gives_what_it_gave_in_rgb(tmp_path):
    torch.manual_seed(0)
    in_rgb = create_backbone("resnet18", output_stride=32).eval()
    path = tmp_path / "weights.safetensors"
    save_file({k.removeprefix("body."): v for k, v in in_rgb.state_dict().items()}, path)
    gray = create_backbone("resnet18", output_stride=32, in_channels=1, pretrained=str(path))
    image = torch.randn(1, 1, 64, 64)
    expected = in_rgb(image.expand(1, 3, 64, 64))[-1]
    torch.testing.assert_close(gray.eval()(image)[-1], expected, rtol=1e-4, atol=1e-4)


def test_the_rule_is_the_one_of_what_timm_downloads(tmp_path):
    torch.manual_seed(0)
    published = timm.create_model("resnet18")
    path = tmp_path / "weights.safetensors"
    save_file(published.state_dict(), path)
    overlay = {"file": str(path)}
    theirs = timm.create_model(
        "resnet18", pretrained=True, in_chans=7, features_only=True, pretrained_cfg_overlay=overlay
    )
    ours = create_backbone("resnet18", output_stride=32, in_channels=7, pretrained=str(path))
    assert torch.equal(first_convolution(ours).weight, first_convolution(theirs).weight)


def test_weights_of_the_same_bands_are_taken_as_they_are(tmp_path):
    torch.manual_seed(0)
    source = create_backbone("drn_d_22", output_stride=8, in_channels=5)
    save_file(source.state_dict(), tmp_path / "weights.safetensors")
    again = create_backbone(
        "drn_d_22", output_stride=8, in_channels=5, pretrained=str(tmp_path / "weights.safetensors")
    )
    assert torch.equal(first_convolution(again).weight, first_convolution(source).weight)


def test_weights_of_other_bands_are_refused(tmp_path):
    source = create_backbone("drn_d_22", output_stride=8, in_channels=5)
    save_file(source.state_dict(), tmp_path / "weights.safetensors")
    with pytest.raises(InputError, match=r"1 of another shape: layer0\.0\.weight"):
        create_backbone(
            "drn_d_22",
            output_stride=8,
            in_channels=4,
            pretrained=str(tmp_path / "weights.safetensors"),
        )


def test_the_cost_of_a_network_is_counted_on_its_bands():
    with torch.device("meta"):
        five = create_model("fcn", backbone="resnet18", num_classes=2, in_channels=5)
        three = create_model("fcn", backbone="resnet18", num_classes=2)
    # Two more bands: 64 filters of 7x7 at half the size, a multiply-add counted twice.
    more = 2 * 2 * 64 * 49 * 32 * 32 / 1e9
    difference = (
        measure_complexity(five, (64, 64)).gflops - measure_complexity(three, (64, 64)).gflops
    )
    assert difference == pytest.approx(more)
