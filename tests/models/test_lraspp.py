import pytest
import torch
import torch.nn.functional as F
from functional_layers import (
    info,
    parameters_without_gradient,
    random_features,
    renamed,
    with_random_norms,
)
from torchvision.models.segmentation.lraspp import LRASPPHead as TorchvisionHead

from dualseg.core.errors import InputError
from dualseg.models.heads.lraspp import LRASPPHead

FEATURES = info((8, 4), (16, 8), (32, 16))


def test_one_classifier_on_both_maps_is_torchvisions_sum_of_two():
    theirs = with_random_norms(TorchvisionHead(16, 32, 5, 12))
    ours = LRASPPHead(FEATURES, channels=12).eval()
    ours.load_state_dict(renamed(theirs, {"cbr": "narrow", "scale.1": "gate"}))
    features = random_features(FEATURES, (65, 97))
    weight = torch.cat([theirs.high_classifier.weight, theirs.low_classifier.weight], dim=1)
    bias = theirs.high_classifier.bias + theirs.low_classifier.bias
    scores = F.conv2d(ours(features).features, weight, bias)
    torch.testing.assert_close(scores, theirs({"low": features[1], "high": features[2]}))


def test_a_closed_gate_leaves_the_fine_feature_alone():
    head = LRASPPHead(FEATURES, channels=12).eval()
    head.gate.weight.data.fill_(-1e3)
    features = [feature.abs() for feature in random_features(FEATURES, (33, 47))]
    context, low_level = head(features).features.split([12, 16], dim=1)
    assert context.abs().max() == 0
    assert torch.equal(low_level, features[1])


def test_the_first_feature_at_stride_8_is_read_also_when_deeper_ones_have_it():
    head = LRASPPHead(info((8, 4), (16, 8), (32, 8), (64, 8)))
    assert (head.low_level_index, head.out_channels, head.out_stride) == (1, 144, 8)


def test_a_deepest_feature_at_stride_8_alone_is_refused():
    with pytest.raises(InputError, match="LR-ASPP needs a feature at stride 8"):
        LRASPPHead(info((8, 4), (16, 8)))


def test_one_small_image_trains_every_parameter():
    head = LRASPPHead(FEATURES, channels=12).train()
    head(random_features(FEATURES, (64, 64), batch=1)).features.square().sum().backward()
    assert parameters_without_gradient(head) == []
