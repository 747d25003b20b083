"""The same weights at another output stride."""

from typing import Any

import pytest
import torch

from dualseg.core.errors import InputError
from dualseg.core.facts import ModelFacts, default_labels
from dualseg.inference.output_stride import with_output_stride
from dualseg.models.catalog import create_model
from dualseg.models.segmentation import SegmentationModel


def small(name: str = "fcn", **options: Any) -> tuple[SegmentationModel, ModelFacts]:
    torch.manual_seed(0)
    options = {"backbone": "mobilenet_v2", "output_stride": 16, **options}
    model = create_model(name, num_classes=3, **options).prune().eval()
    facts = ModelFacts(model.architecture, default_labels(3))
    model.facts = facts
    return model, facts


def test_weights_stay_and_the_features_get_finer() -> None:
    model, facts = small("deeplabv3plus")
    finer = with_output_stride(model, facts, 8)
    images = torch.randn(1, 3, 64, 64)
    with torch.no_grad():
        assert model.backbone(images)[-1].shape[-1] == 4
        assert finer.backbone(images)[-1].shape[-1] == 8
        assert finer(images).logits.shape == (1, 3, 64, 64)
    before, after = model.state_dict(), finer.state_dict()
    assert list(before) == list(after)
    assert all(torch.equal(before[name], after[name]) for name in before)
    assert not finer.training


def test_every_filter_looks_at_the_same_pixels_as_before() -> None:
    """At the places both grids share, the dilated deepest feature equals the strided one."""
    model, facts = small()
    finer = with_output_stride(model, facts, 8)
    images = torch.randn(1, 3, 65, 65)
    with torch.no_grad():
        coarse, fine = model.backbone(images)[-1], finer.backbone(images)[-1]
    assert torch.allclose(fine[..., ::2, ::2], coarse, atol=1e-4)


def test_the_facts_tell_the_new_stride_and_the_old_network_is_left_alone() -> None:
    model, facts = small("deeplabv3", atrous_rates=[2, 4])
    finer = with_output_stride(model, facts, 8)
    assert finer.facts is not None
    assert finer.facts.architecture["output_stride"] == 8
    assert finer.facts.architecture["atrous_rates"] == [4, 8]
    assert facts.architecture["output_stride"] == 16
    assert model.facts is facts


def test_the_stride_it_has_is_no_change() -> None:
    model, facts = small()
    assert with_output_stride(model, facts, 16) is model


def test_a_jpu_cannot_change() -> None:
    model, facts = small(neck="jpu", output_stride=32)
    with pytest.raises(InputError, match="jpu neck cannot change its output stride"):
        with_output_stride(model, facts, 8)


def test_rates_without_a_whole_half_are_refused() -> None:
    model, facts = small("deeplabv3", output_stride=8, atrous_rates=[3, 6])
    with pytest.raises(InputError, match=r"atrous rates 3, 6 at output stride 8 .* at 16"):
        with_output_stride(model, facts, 16)


def test_a_stride_nobody_has_is_refused() -> None:
    model, facts = small()
    with pytest.raises(InputError, match="output_stride 5 is not possible; use 8, 16 or 32"):
        with_output_stride(model, facts, 5)


def test_a_label_decoder_still_answers_at_twice_the_input() -> None:
    model, facts = small("fcn", dsrl=True, output_stride=32)
    finer = with_output_stride(model, facts, 8)
    assert finer(torch.randn(1, 3, 32, 32)).logits.shape == (1, 3, 64, 64)


def test_weights_that_do_not_fit_are_refused() -> None:
    _, facts = small("deeplabv3plus")
    other, _ = small("deeplabv3plus", head_options={"channels": 64})
    with pytest.raises(InputError, match="other weights at output stride 8 than at 16"):
        with_output_stride(other, facts, 8)
