from copy import deepcopy

import pytest
import torch
from torch import nn

from dualseg.core.errors import InputError
from dualseg.models.backbones.create import create_backbone
from dualseg.models.catalog import create_model
from dualseg.training.optimization.activation_checkpoints import checkpoint_activations


def gradients(model: nn.Module, images: torch.Tensor) -> dict[str, torch.Tensor]:
    torch.manual_seed(3)
    model.train()
    model(images).logits.square().mean().backward()
    return {name: p.grad for name, p in model.named_parameters() if p.grad is not None}


# Of each kind of extractor: sequences of blocks, a dictionary of stages, a network used in parts.
KINDS = [
    ("resnet18", 16),
    ("mobilenet_v2", 16),
    ("drn_d_22", 8),
    ("regnety_002", 32),
    ("dla34", 32),
    ("convnext_atto", 32),
    ("pvt_v2_b0", 32),
    ("swin_tiny_patch4_window7_224", 32),
    ("vit_tiny_patch16_224", 16),
    ("mvitv2_tiny", 32),
]


@pytest.mark.parametrize(("backbone", "output_stride"), KINDS)
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


@pytest.mark.parametrize(("backbone", "output_stride"), KINDS)
def test_less_is_kept_between_the_passes(backbone, output_stride):
    images = torch.randn(2, 3, 64, 64)
    torch.manual_seed(0)
    body = create_backbone(backbone, output_stride=output_stride).train()
    plain = bytes_kept(body, images)
    checkpoint_activations(body)
    assert bytes_kept(body, images) < plain / 2


def bytes_kept(body: nn.Module, images: torch.Tensor) -> int:
    """Of what the forward pass keeps for the backward one, the weights not counted."""
    weights = {parameter.data_ptr() for parameter in body.parameters()}
    kept = [0]

    def count(tensor: torch.Tensor) -> torch.Tensor:
        if tensor.data_ptr() not in weights:
            kept[0] += tensor.numel() * tensor.element_size()
        return tensor

    with torch.autograd.graph.saved_tensors_hooks(count, lambda tensor: tensor):
        body(images)
    return kept[0]


@pytest.mark.parametrize(
    ("backbone", "num_blocks"), [("vit_tiny_patch16_224", 12), ("swin_tiny_patch4_window7_224", 12)]
)
def test_every_block_of_a_transformer_is_computed_twice(backbone, num_blocks):
    body = create_backbone(backbone, output_stride=16 if "vit" in backbone else 32).train()
    attentions = [module for module in body.modules() if hasattr(module, "qkv")]
    calls = []
    for attention in attentions:
        attention.qkv.register_forward_pre_hook(lambda *_: calls.append("attention"))
    assert checkpoint_activations(body) == len(attentions) == num_blocks
    calls.clear()
    body(torch.randn(1, 3, 64, 64))[-1].sum().backward()
    assert len(calls) == 2 * num_blocks


def test_the_stages_of_a_regnet_are_looked_into():
    assert checkpoint_activations(create_backbone("regnety_002", output_stride=32)) == 13


class Scaled(nn.Module):
    def __init__(self):
        super().__init__()
        self.convs = nn.ModuleDict({"a": nn.Conv2d(3, 3, 1), "b": nn.Conv2d(3, 3, 1)})

    def forward(self, x: torch.Tensor, *, scale: float) -> torch.Tensor:
        return self.convs["b"](self.convs["a"](x)).tanh() * scale


class CallsByName(nn.Module):
    def __init__(self):
        super().__init__()
        self.blocks = nn.ModuleList([Scaled(), Scaled()])

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        for block in self.blocks:
            x = block(x, scale=2.0)
        return x


def test_blocks_may_take_arguments_by_name():
    body, image = CallsByName(), torch.randn(1, 3, 4, 4)
    plain = bytes_kept(body, image)
    before = body(image)
    assert checkpoint_activations(body) == 2
    assert torch.equal(body(image), before)
    assert bytes_kept(body, image) < plain


class UsesParts(CallsByName):
    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.blocks[0].convs["a"](x)


def test_a_backbone_that_calls_none_of_its_blocks_is_refused():
    with pytest.raises(InputError, match="no blocks"):
        checkpoint_activations(UsesParts())


def test_a_backbone_of_more_bands_is_looked_through_and_left_in_its_mode():
    body = create_backbone("resnet18", output_stride=16, in_channels=5).train()
    body.body.bn1.eval()
    before = deepcopy(body.state_dict())
    assert checkpoint_activations(body, in_channels=5) == 8
    assert body.training
    assert not body.body.bn1.training
    assert all(torch.equal(value, before[key]) for key, value in body.state_dict().items())


def test_a_backbone_without_blocks_is_refused():
    with pytest.raises(InputError, match="no blocks"):
        checkpoint_activations(nn.Conv2d(3, 3, 1))


def test_evaluation_computes_nothing_twice():
    model = create_model("fcn", backbone="resnet18", num_classes=3).eval()
    images = torch.randn(1, 3, 64, 64)
    before = model(images).logits
    checkpoint_activations(model.backbone)
    assert torch.equal(model(images).logits, before)
