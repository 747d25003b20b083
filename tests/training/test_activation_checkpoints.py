from copy import deepcopy

import pytest
import torch
from torch import nn

from dualseg.core.errors import InputError
from dualseg.models.catalog import create_model
from dualseg.training.optimization.activation_checkpoints import checkpoint_activations


def gradients(model: nn.Module, images: torch.Tensor) -> dict[str, torch.Tensor]:
    torch.manual_seed(3)
    model.train()
    model(images).logits.square().mean().backward()
    return {name: p.grad for name, p in model.named_parameters() if p.grad is not None}


@pytest.mark.parametrize(
    ("backbone", "output_stride"), [("resnet18", 16), ("mobilenet_v2", 16), ("drn_d_22", 8)]
)
def test_gradients_and_statistics_are_those_of_a_plain_pass(backbone, output_stride):
    torch.manual_seed(0)
    plain = create_model("fcn", backbone=backbone, output_stride=output_stride, num_classes=3)
    recomputed = deepcopy(plain)
    assert checkpoint_activations(recomputed.backbone) > 3
    images = torch.randn(2, 3, 64, 64)
    ours, theirs = gradients(recomputed, images), gradients(plain, images)
    assert ours.keys() == theirs.keys()
    for key, value in theirs.items():
        assert torch.equal(ours[key], value), key
    for key, value in plain.state_dict().items():
        assert torch.equal(recomputed.state_dict()[key], value), key


def test_less_is_kept_between_the_passes():
    kept = []
    for recompute in (False, True):
        torch.manual_seed(0)
        model = create_model("fcn", backbone="resnet18", num_classes=3).train()
        if recompute:
            checkpoint_activations(model.backbone)
        bytes_kept = [0]

        def count(tensor: torch.Tensor, bytes_kept=bytes_kept) -> torch.Tensor:
            bytes_kept[0] += tensor.numel() * tensor.element_size()
            return tensor

        with torch.autograd.graph.saved_tensors_hooks(count, lambda tensor: tensor):
            model.backbone(torch.randn(2, 3, 64, 64))
        kept.append(bytes_kept[0])
    assert kept[1] < kept[0] / 2


def test_a_backbone_without_blocks_is_refused():
    with pytest.raises(InputError, match="no blocks"):
        checkpoint_activations(nn.Conv2d(3, 3, 1))


def test_evaluation_computes_nothing_twice():
    model = create_model("fcn", backbone="resnet18", num_classes=3).eval()
    images = torch.randn(1, 3, 64, 64)
    before = model(images).logits
    checkpoint_activations(model.backbone)
    assert torch.equal(model(images).logits, before)
