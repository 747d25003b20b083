"""The two public DSRL networks, against answers of their own code."""

import pytest

from dualseg.checkpoints.importers import dootmaan, sanje2v
from reference.originals import (
    Original,
    assert_other_logits,
    assert_recognised,
    assert_same_logits,
)

DOOTMAAN = Original(dootmaan, "resnet_os16")
STAGE_1 = Original(sanje2v, "stage1")
STAGE_3 = Original(sanje2v, "stage3")


@pytest.mark.parametrize(
    "original", [DOOTMAAN, STAGE_1, STAGE_3], ids=lambda original: original.golden
)
def test_the_logits_are_those_of_the_original_at_twice_the_image(original: Original):
    assert_recognised(original)
    assert_same_logits(original)


@pytest.mark.parametrize(
    ("original", "changes"),
    [
        (DOOTMAAN, {"first_block": "contract"}),
        (DOOTMAAN, {"multi_grid": None}),
        (STAGE_1, {"first_block": "full"}),
        (STAGE_1, {"align_corners": False}),
    ],
    ids=str,
)
def test_same_tensors_in_another_network_give_other_logits(original: Original, changes: dict):
    assert_other_logits(original, **changes)


def test_what_only_training_used_is_dropped_by_name():
    dropped = STAGE_3.translate().dropped
    assert {name.partition(".")[0] for name in dropped} == {
        "SISR_decoder",
        "SSSR_feature_transformer",
        "SISR_feature_transformer",
    }
    assert not STAGE_1.translate().dropped
    assert "up_edsr_3.conv.2.bias" in DOOTMAAN.translate().dropped


def test_sanje2v_normalises_by_cityscapes():
    translation = STAGE_1.translate()
    assert translation.mean == (0.28690, 0.32513, 0.28389)
    assert translation.assumed_labels is not None
    assert translation.assumed_labels.class_names[-1] == "bicycle"
