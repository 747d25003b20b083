"""BiSeNet v1 of CoinCheung/BiSeNet, against answers of its own code, in three versions."""

import pytest
import torch

from dualseg.checkpoints.importers import coincheung
from dualseg.core.errors import InputError
from reference.originals import (
    Original,
    assert_other_logits,
    assert_recognised,
    assert_same_logits,
)

FIRST = Original(coincheung, "bisenetv1_first", is_bgr=True)
SQUEEZE = Original(coincheung, "bisenetv1_squeeze")
LINEAR = Original(coincheung, "bisenetv1_linear_gate")
ORIGINALS = pytest.mark.parametrize(
    "original", [FIRST, SQUEEZE, LINEAR], ids=lambda original: original.arch
)


@ORIGINALS
def test_the_logits_are_those_of_the_original(original: Original):
    assert_recognised(original)
    assert_same_logits(original)


@pytest.mark.parametrize(
    "changes",
    [
        {"head_variant": "gate"},
        {"head_options": {"upsampling": "bilinear"}},
        {"align_corners": True},
    ],
    ids=str,
)
def test_same_tensors_in_another_network_give_other_logits(changes: dict):
    assert_other_logits(LINEAR, **changes)


def test_the_first_weights_read_blue_first():
    assert_other_logits(FIRST._replace(is_bgr=False))
    translation = FIRST.translate()
    assert translation.mean == (0.3223, 0.3690, 0.3257)
    assert translation.std == (0.2115, 0.2148, 0.2112)
    assert SQUEEZE.translate().mean == (0.3257, 0.3690, 0.3223)


def test_auxiliary_heads_may_be_missing():
    tensors = {
        name: tensor
        for name, tensor in SQUEEZE.checkpoint.tensors.items()
        if not name.startswith(("conv_out16", "conv_out32"))
    }
    checkpoint = SQUEEZE.checkpoint_of(tensors)
    translation = coincheung.translate(checkpoint, SQUEEZE.arch)
    assert translation.architecture["auxiliary"] is False
    assert not any(name.startswith("auxiliary_heads") for name in translation.weights)


def test_classifiers_of_8x8_labels_are_not_taken_for_more_classes():
    tensors = dict(SQUEEZE.checkpoint.tensors)
    tensors["conv_out.conv_out.weight"] = torch.zeros(19 * 8 * 8, 256, 1, 1)
    tensors["conv_out32.conv_out.weight"] = torch.zeros(19 * 16 * 16, 64, 1, 1)
    with pytest.raises(InputError, match="8x8 labels at each position; import its weights"):
        coincheung.recognise(tensors)
