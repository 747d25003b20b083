from typing import get_args

import pytest
import torch

from dualseg.core.errors import InputError
from dualseg.models.catalog import create_model
from dualseg.models.dsrl.sssr_decoder import SSSRDecoder, SssrKind
from dualseg.models.dsrl.upsampling import crop_to, icnr_

SSSR_KINDS = get_args(SssrKind)
SISR_KINDS = ("espcn", "residual", "single")


def build(**options):
    return create_model("deeplabv3plus", backbone="resnet18", num_classes=3, dsrl=options or True)


def test_stage_1_has_the_label_decoder_alone():
    model = build(stage=1)
    output = model(torch.randn(2, 3, 32, 32))
    assert (model.sisr_decoder, model.ftm) == (None, None)
    assert (output.image_sr, output.features_seg, output.features_sr) == (None, None, None)


def test_stage_2_reconstructs_the_image():
    output = build(stage=2)(torch.randn(2, 3, 32, 48))
    assert output.image_sr.shape == (2, 3, 64, 96)
    assert output.features_seg is None


def test_stage_3_gives_features_of_one_shape_at_an_eighth():
    output = build(stage=3)(torch.randn(2, 3, 33, 47))
    assert output.features_seg.shape == output.features_sr.shape == (2, 32, 9, 12)


def test_training_branches_are_silent_in_evaluation():
    output = build().eval()(torch.randn(1, 3, 32, 32))
    assert (output.image_sr, output.features_seg, output.features_sr) == (None, None, None)


@pytest.mark.parametrize("kind", SSSR_KINDS)
@pytest.mark.parametrize("stride", [2, 4, 8, 16, 32])
@pytest.mark.parametrize("size", [(32, 48), (33, 45)])
def test_labels_are_exactly_twice_the_input(kind, stride, size):
    decoder = SSSRDecoder(8, stride, 3, kind=kind).eval()
    features = torch.randn(1, 8, *(-(-side // stride) for side in size))
    assert decoder(features, size).logits.shape == (1, 3, 2 * size[0], 2 * size[1])


def test_a_map_that_is_too_small_repeats_its_end_and_moves_no_pixel():
    maps = torch.arange(6.0).reshape(1, 1, 2, 3)
    assert crop_to(maps, (3, 5))[0, 0].tolist() == [
        [0, 1, 2, 2, 2],
        [3, 4, 5, 5, 5],
        [3, 4, 5, 5, 5],
    ]
    assert crop_to(maps, (3, 2))[0, 0].tolist() == [[0, 1], [3, 4], [3, 4]]


def test_answers_behind_an_unpadded_stem_are_twice_the_input():
    model = create_model(
        "deeplabv3plus",
        backbone="mobilenet_v2",
        backbone_options={"pad_stem": False},
        num_classes=2,
        dsrl=True,
    )
    output = model(torch.randn(2, 3, 33, 50))
    assert output.logits.shape == (2, 2, 66, 100)
    assert output.image_sr.shape == (2, 3, 66, 100)


@pytest.mark.parametrize("sssr", SSSR_KINDS)
@pytest.mark.parametrize("sisr", SISR_KINDS)
@pytest.mark.parametrize("place", ["before_prediction", "after_prediction"])
def test_every_combination_of_variants_trains(sssr, sisr, place):
    model = build(sssr=sssr, sisr=sisr, affinity_features=place)
    output = model(torch.randn(2, 3, 33, 32))
    assert output.image_sr.shape == (2, 3, 66, 64)
    assert output.features_seg.shape == output.features_sr.shape
    (output.features_seg.sum() + output.features_sr.sum()).backward()
    assert model.ftm.seg[0].weight.grad is not None


def test_the_deconvolution_corrects_the_enlarged_logits_of_the_host():
    decoder = SSSRDecoder(8, 4, 3).eval()
    torch.nn.init.zeros_(decoder.predict.weight)
    torch.nn.init.zeros_(decoder.predict.bias)
    features = torch.randn(1, 8, 5, 6)
    coarse = decoder.coarse[0](features)
    expected = torch.nn.functional.interpolate(
        coarse, scale_factor=8, mode="bilinear", align_corners=False
    )
    torch.testing.assert_close(decoder(features, (20, 24)).logits, expected)


def test_bilinear_convolution_is_pixel_shuffle_with_the_same_logits_all_over_a_block():
    shuffle = SSSRDecoder(8, 4, 3, kind="pixel_shuffle").eval()
    control = SSSRDecoder(8, 4, 3, kind="bilinear_convolution").eval()
    control.upsample.load_state_dict(shuffle.upsample.state_dict())
    of_a_place = control.predict[0]
    of_a_place.weight.data = shuffle.predict[0].weight.data[::64]  # ICNR: 8x8 equal ones a class
    of_a_place.bias.data = shuffle.predict[0].bias.data[::64]
    shuffle.predict[0].bias.data = of_a_place.bias.data.repeat_interleave(64)
    features = torch.randn(1, 8, 5, 6)

    blocks = shuffle(features, (20, 24)).logits
    expected = torch.nn.functional.interpolate(
        blocks[..., ::8, ::8], scale_factor=8, mode="bilinear", align_corners=False
    )
    torch.testing.assert_close(control(features, (20, 24)).logits, expected)


def test_transforming_both_sides_leaves_one_channel():
    output = build(ftm="both")(torch.randn(2, 3, 32, 32))
    assert output.features_seg.shape == output.features_sr.shape == (2, 1, 8, 8)


def test_the_image_loss_reaches_the_encoder():
    model = build(stage=2)
    model(torch.randn(2, 3, 32, 32)).image_sr.square().mean().backward()
    assert model.host.backbone.body.conv1.weight.grad.abs().sum() > 0
    assert model.host.head.fuse[0][0].weight.grad is None


def test_frozen_parts_have_no_trainable_parameters():
    model = build(frozen=("sisr_decoder", "ftm"))
    assert not any(p.requires_grad for p in model.sisr_decoder.parameters())
    assert not any(p.requires_grad for p in model.ftm.parameters())
    assert all(p.requires_grad for p in model.host.parameters())


def test_a_shift_of_the_input_shifts_the_answer_by_twice_as_much():
    # Checks where pixels land: a map enlarged and cropped must not drift.
    decoder = SSSRDecoder(4, 4, 2, kind="deconvolution").eval()
    features = torch.randn(1, 4, 12, 12)
    shifted = torch.roll(features, shifts=(1, 2), dims=(2, 3))
    logits, moved = decoder(features, (48, 48)).logits, decoder(shifted, (48, 48)).logits
    inside = (..., slice(32, 64), slice(32, 64))
    torch.testing.assert_close(torch.roll(logits, (8, 16), (2, 3))[inside], moved[inside])


def test_a_sub_pixel_convolution_starts_as_nearest_neighbour():
    convolution = torch.nn.Conv2d(3, 2 * 16, 3, padding=1)
    icnr_(convolution.weight, 4)
    torch.nn.init.zeros_(convolution.bias)
    enlarged = torch.nn.PixelShuffle(4)(convolution(torch.randn(1, 3, 5, 5)))
    blocks = enlarged.unfold(2, 4, 4).unfold(3, 4, 4)
    torch.testing.assert_close(blocks, blocks[..., :1, :1].expand_as(blocks))


@pytest.mark.parametrize("kind", ["official", "sanje2v"])
def test_two_doublings_are_refused_where_one_is_needed(kind):
    with pytest.raises(InputError, match="a map of stride 1 needs only twice"):
        SSSRDecoder(8, 1, 3, kind=kind)


def test_an_unknown_option_lists_the_nearest():
    with pytest.raises(InputError, match="did you mean sssr"):
        build(ssr="bilinear")
