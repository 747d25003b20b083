import pytest
import torch
from tiny import TinyNetwork
from torch import nn

from dualseg.config import TrainingSettings
from dualseg.core.errors import InputError
from dualseg.models.catalog import create_model
from dualseg.training.optimization.optimizers import (
    create_optimizer,
    optimizer_tensors,
    restore_optimizer,
    set_lr,
)


def settings(**values) -> TrainingSettings:
    return TrainingSettings(max_steps=1, lr=0.1, weight_decay=0.01, head_lr_multiplier=10, **values)


def names_by_group(model: nn.Module, optimizer) -> dict[tuple[float, float], set[str]]:
    names = {id(parameter): name for name, parameter in model.named_parameters()}
    return {
        (group["lr"], group["weight_decay"]): {names[id(p)] for p in group["params"]}
        for group in optimizer.param_groups
    }


@pytest.mark.parametrize("optimizer", ["sgd", "adam", "adamw", "lamb"])
def test_the_four_groups(optimizer):
    model = TinyNetwork()
    groups = names_by_group(model, create_optimizer(model, settings(optimizer=optimizer)))
    assert groups == {
        (0.1, 0.01): {"backbone.0.weight"},
        (0.1, 0.0): {"backbone.1.weight", "backbone.1.bias"},
        (1.0, 0.01): {"classifier.weight"},
        (1.0, 0.0): {"classifier.bias"},
    }


def test_every_trainable_parameter_of_a_dsrl_network_stands_in_one_group():
    model = create_model("deeplabv3plus", backbone="resnet18", num_classes=3, dsrl=True)
    groups = names_by_group(model, create_optimizer(model, settings()))
    listed = [name for names in groups.values() for name in names]
    assert sorted(listed) == sorted(name for name, _ in model.named_parameters())
    assert any(name.startswith("sisr_decoder.") for name in groups[1.0, 0.01])
    assert any(name.startswith("ftm.") for name in groups[1.0, 0.01])
    decaying = {name for (_, decay), names in groups.items() if decay for name in names}
    assert all(parameter.ndim > 1 for n, parameter in model.named_parameters() if n in decaying)


def test_a_part_learns_as_fast_as_its_longest_name_says():
    model = create_model("deeplabv3plus", backbone="resnet18", num_classes=3, dsrl=True)
    chosen = settings(lr_multipliers={"backbone": 0.5, "backbone.layer4": 2.0, "sisr_decoder": 3})
    lrs = {}
    names = {id(parameter): name for name, parameter in model.named_parameters()}
    for group in create_optimizer(model, chosen).param_groups:
        lrs |= {names[id(parameter)]: group["lr"] for parameter in group["params"]}
    for name, lr in lrs.items():
        if "layer4" in name:
            assert lr == pytest.approx(0.2), name
        elif "backbone" in name:
            assert lr == pytest.approx(0.05), name
        elif name.startswith("sisr_decoder."):
            assert lr == pytest.approx(0.3), name
        else:  # head_lr_multiplier
            assert lr == pytest.approx(1.0), name


def test_a_part_that_is_not_there_is_refused_with_the_nearest():
    with pytest.raises(InputError, match=r"lr_multipliers.*\n.*bakbone: did you mean backbone"):
        create_optimizer(TinyNetwork(), settings(lr_multipliers={"bakbone": 0.1}))


def test_adam_adds_decay_to_the_gradient_and_adamw_does_not():
    # Where the loss has no gradient, Adam's first step is lr in the weight's direction; AdamW's is
    # lr * decay * weight.
    for name, expected in (("adam", 2.0 - 0.1), ("adamw", 2.0 - 0.1 * 0.01 * 2.0)):
        model = nn.Linear(1, 1, bias=False)
        nn.init.constant_(model.weight, 2.0)
        chosen = TrainingSettings(max_steps=1, lr=0.1, weight_decay=0.01, optimizer=name)
        optimizer = create_optimizer(model, chosen)
        model.weight.grad = torch.zeros_like(model.weight)
        optimizer.step()
        assert model.weight.item() == pytest.approx(expected, abs=1e-5)


def test_norm_layers_over_whole_maps_do_not_decay():
    model = nn.ModuleDict({"norm": nn.LayerNorm((4, 4)), "linear": nn.Linear(2, 2)})
    groups = names_by_group(model, create_optimizer(model, settings()))
    assert groups[1.0, 0.01] == {"linear.weight"}


def test_frozen_and_shared_parameters():
    model = TinyNetwork()
    model.backbone.requires_grad_(False)
    model.twin = model.classifier
    groups = names_by_group(model, create_optimizer(model, settings()))
    assert groups == {(1.0, 0.01): {"classifier.weight"}, (1.0, 0.0): {"classifier.bias"}}


def test_a_network_with_nothing_to_learn_is_refused():
    with pytest.raises(InputError, match="no trainable parameter"):
        create_optimizer(TinyNetwork().requires_grad_(False), settings())


def test_the_factor_multiplies_each_groups_own_rate():
    optimizer = create_optimizer(TinyNetwork(), settings())
    assert set_lr(optimizer, 0.5) == 0.05
    set_lr(optimizer, 0.25)
    assert [group["lr"] for group in optimizer.param_groups] == [0.025, 0.025, 0.25, 0.25]


def one_step(model: nn.Module, optimizer, seed: int) -> None:
    torch.manual_seed(seed)
    optimizer.zero_grad()
    model(torch.randn(2, 3, 8, 8)).logits.square().mean().backward()
    optimizer.step()


@pytest.mark.parametrize(
    ("name", "nesterov"),
    [("sgd", False), ("sgd", True), ("adam", False), ("adamw", False), ("lamb", False)],
)
def test_a_restored_optimizer_makes_the_same_step_bit_for_bit(name, nesterov):
    torch.manual_seed(0)
    chosen = settings(optimizer=name, nesterov=nesterov)
    model = TinyNetwork().to(memory_format=torch.channels_last)
    optimizer = create_optimizer(model, chosen)
    one_step(model, optimizer, seed=1)
    tensors = {n: t.clone().contiguous() for n, t in optimizer_tensors(optimizer, model).items()}

    twin = TinyNetwork().to(memory_format=torch.channels_last)
    twin.load_state_dict(model.state_dict())
    twins = create_optimizer(twin, chosen)
    restore_optimizer(twins, twin, tensors)
    one_step(model, optimizer, seed=2)
    one_step(twin, twins, seed=2)
    for (key, ours), theirs in zip(
        model.state_dict().items(), twin.state_dict().values(), strict=True
    ):
        assert torch.equal(ours, theirs), key
    again = optimizer_tensors(twins, twin)
    for key, value in optimizer_tensors(optimizer, model).items():
        assert torch.equal(value, again[key]), key


def test_restored_state_has_the_layout_of_its_parameter():
    model = TinyNetwork().to(memory_format=torch.channels_last)
    optimizer = create_optimizer(model, settings())
    restore_optimizer(
        optimizer, model, {"optimizer/momentum_buffer/backbone.0.weight": torch.ones(6, 3, 3, 3)}
    )
    weight = model.backbone[0].weight
    assert optimizer.state[weight]["momentum_buffer"].stride() == weight.stride()


def test_state_that_does_not_fit_is_refused():
    model = TinyNetwork()
    optimizer = create_optimizer(model, settings())
    with pytest.raises(InputError, match="'gone'"):
        restore_optimizer(optimizer, model, {"optimizer/momentum_buffer/gone": torch.ones(1)})
    wrong = {"optimizer/momentum_buffer/classifier.bias": torch.ones(3)}
    with pytest.raises(InputError, match=r"classifier.bias has shape \(3,\)"):
        restore_optimizer(optimizer, model, wrong)
