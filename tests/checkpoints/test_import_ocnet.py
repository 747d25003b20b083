"""OCNet of openseg-group/OCNet.pytorch, against answers of its own code."""

import pytest
import torch

from dualseg.checkpoints.importers import ocnet
from dualseg.core.errors import InputError
from reference.originals import (
    Original,
    assert_other_logits,
    assert_recognised,
    assert_same_logits,
)

BASE = Original(ocnet, "base", negative_scales=True)
PYRAMID = Original(ocnet, "pyramid", negative_scales=True)
ASP = Original(ocnet, "asp", negative_scales=True)


@pytest.mark.parametrize("original", [BASE, PYRAMID, ASP], ids=lambda original: original.arch)
def test_the_logits_are_those_of_the_original(original: Original):
    assert_recognised(original)
    assert_same_logits(original)


@pytest.mark.parametrize(
    ("original", "changes"),
    [
        (BASE, {"head_options": {"activation": "relu"}}),
        (BASE, {"backbone_options": {}}),
        (PYRAMID, {"auxiliary_activation": "leaky_relu"}),
        (ASP, {"align_corners": False}),
    ],
    ids=str,
)
def test_same_tensors_in_another_network_give_other_logits(original: Original, changes: dict):
    assert_other_logits(original, **changes)


def test_a_bias_before_a_batch_norm_goes_into_its_mean():
    theirs, ours = BASE.checkpoint.tensors, BASE.translate().weights
    assert "head.reduce.0.bias" not in ours
    torch.testing.assert_close(
        ours["head.reduce.1.running_mean"],
        theirs["context.1.running_mean"] - theirs["context.0.bias"],
    )


def test_queries_are_dropped_as_copies_of_the_keys():
    dropped = BASE.translate().dropped
    assert len(dropped) == 6
    name = "context.2.stages.0.f_query.0.weight"
    assert dropped[name] == "a copy of context.2.stages.0.f_key.0.weight"


def test_queries_that_differ_from_the_keys_are_refused():
    tensors = BASE.checkpoint.tensors
    name = "context.2.stages.0.f_query.0.weight"
    checkpoint = BASE.checkpoint_of({**tensors, name: torch.zeros_like(tensors[name])})
    with pytest.raises(InputError, match=f"{name} is no copy of"):
        ocnet.translate(checkpoint, "base")


def test_the_mean_is_subtracted_from_red_green_blue_in_the_order_of_the_code():
    translation = BASE.translate()
    red = (0.5 - translation.mean[0]) / translation.std[0]
    assert red == pytest.approx(0.5 * 255 - 102.9801)
