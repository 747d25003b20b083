import pytest
import torch
from tiny import TinyDataset, TinyNetwork, tiny_recipe
from torch import Tensor

from dualseg.core.geometry import shrink_by_majority
from dualseg.core.processes import Processes
from dualseg.data.loading.loaders import RawBatch
from dualseg.models.catalog import create_model
from dualseg.training.objectives.objective import create_objective
from dualseg.training.optimization.optimizers import create_optimizer
from dualseg.training.step import (
    NonFiniteLossError,
    TrainingStep,
    prepare_batch,
    split_batch,
    step_seed,
)

CPU = torch.device("cpu")


def random_batch(size: int, *, ignored: float = 0.0) -> RawBatch:
    """Noise; each image has its own share of ignored pixels, up to `ignored`."""
    image = torch.randint(0, 256, (size, 3, 16, 16), dtype=torch.uint8)
    label_map = torch.randint(0, 2, (size, 16, 16), dtype=torch.uint8)
    share = torch.linspace(0.0, ignored, size).view(-1, 1, 1)
    label_map[torch.rand(label_map.shape) < share] = 255
    return RawBatch(image, label_map, tuple(f"image_{i}" for i in range(size)))


def create_step(model, objective=None, rank: int = 0, **training) -> TrainingStep:
    settings = {"max_steps": 4, "lr": 0.1, "weight_decay": 0.0, "momentum": 0.0, **training}
    recipe = tiny_recipe({"training": settings})
    return TrainingStep(
        model,
        objective or create_objective(recipe, TinyDataset.labels),
        create_optimizer(model, recipe.training),
        lr_factor=lambda step: 1.0,
        data=recipe.data,
        training=recipe.training,
        device=CPU,
        seed=recipe.seed,
        processes=Processes(rank),
    )


def weights(model) -> dict[str, Tensor]:
    return {name: value.clone() for name, value in model.named_parameters()}


def equal(ours: dict[str, Tensor], theirs: dict[str, Tensor]) -> bool:
    return all(torch.equal(ours[name], theirs[name]) for name in ours)


def twins(**options) -> tuple[TinyNetwork, TinyNetwork]:
    ours, theirs = TinyNetwork(**options), TinyNetwork(**options)
    theirs.load_state_dict(ours.state_dict())
    return ours, theirs


def test_parts_of_a_batch_give_the_gradients_of_the_whole_though_their_ignored_pixels_differ():
    batch = random_batch(8, ignored=0.95)
    whole, parted = twins(norm="group", dropout=0.0)
    ours = create_step(whole, batch_size=8)(batch, 0)
    theirs = create_step(parted, batch_size=8, accumulate_steps=2)(batch, 0)
    for name, value in whole.named_parameters():
        other = dict(parted.named_parameters())[name]
        assert torch.allclose(value.grad, other.grad, rtol=0, atol=1e-6), name
        assert torch.allclose(value, other, rtol=0, atol=1e-6), name
    assert theirs.losses == pytest.approx(ours.losses, abs=1e-6)


def test_the_parts_really_differ_so_that_plain_averaging_would_be_wrong():
    batch = random_batch(8, ignored=0.95)
    parts = split_batch(prepare_batch(batch, tiny_recipe().data, CPU), 2)
    valid = [int((part.target != 255).sum()) for part in parts]
    assert valid[0] > 1.3 * valid[1]
    assert {part.num_valid for part in parts} == {sum(valid)}
    assert sum((part.names for part in parts), ()) == batch.names


def test_a_fully_ignored_batch_has_zero_loss_and_changes_nothing():
    model = TinyNetwork()
    before = weights(model)
    batch = random_batch(4)
    batch.label_map.fill_(255)
    result = create_step(model)(batch, 0)
    assert result.losses["loss"] == 0.0
    assert result.grad_norm == 0.0
    assert equal(weights(model), before)


def test_one_fully_ignored_part_does_not_hurt_the_other():
    batch = random_batch(4)
    batch.label_map[2:] = 255
    model, half = twins(norm="group", dropout=0.0)
    create_step(model, accumulate_steps=2)(batch, 0)
    create_step(half)(RawBatch(batch.image[:2], batch.label_map[:2], batch.names[:2]), 0)
    for name, value in half.named_parameters():
        assert torch.allclose(value, dict(model.named_parameters())[name], atol=1e-6)


def loss_is_nan(output, batch, step) -> dict[str, Tensor]:
    return {"cross_entropy": output.logits.mean() * float("nan"), "image": output.logits.mean()}


def gradient_is_infinite(output, batch, step) -> dict[str, Tensor]:
    return {"cross_entropy": (output.logits * 0.0).sum().sqrt()}  # d sqrt(x) / dx at 0


@pytest.mark.parametrize("objective", [loss_is_nan, gradient_is_infinite])
@pytest.mark.parametrize("clip", [None, 1.0])
def test_a_loss_or_gradient_that_is_not_finite_stops_before_the_weights_change(objective, clip):
    model = TinyNetwork()
    before = weights(model)
    step = create_step(model, objective, clip_grad_norm=clip, momentum=0.9)
    with pytest.raises(NonFiniteLossError) as caught:
        step(random_batch(4), 11)
    assert equal(weights(model), before)
    text = str(caught.value)
    assert "step 12" in text
    assert "image_0, image_1, image_2, image_3" in text
    assert "cross_entropy = " in text
    assert "gradient norm = " in text
    assert "lr = 0.1" in text


def test_dropout_depends_on_seed_and_step_and_rank_and_not_on_the_global_generator():
    batch = random_batch(4)
    start = TinyNetwork(dropout=0.5)

    def after(step: int, rank: int = 0, draws: int = 0) -> dict[str, Tensor]:
        model = TinyNetwork(dropout=0.5)
        model.load_state_dict(start.state_dict())
        torch.rand(draws)
        create_step(model, rank=rank)(batch, step)
        return weights(model)

    assert equal(after(3), after(3, draws=17))
    assert not equal(after(3), after(4))
    assert not equal(after(3), after(3, rank=1))
    assert len({step_seed(s, t, r) for s in range(5) for t in range(5) for r in range(5)}) == 125


def test_a_long_gradient_is_cut_to_the_limit():
    batch = random_batch(4)
    model = TinyNetwork(dropout=0.0)
    before = weights(model)
    result = create_step(model, clip_grad_norm=0.01)(batch, 0)
    assert result.grad_norm > 0.01
    moved = torch.cat([(value - before[n]).flatten() for n, value in model.named_parameters()])
    assert moved.norm().item() == pytest.approx(0.1 * 0.01, rel=1e-3)  # lr times the limit


@pytest.mark.parametrize(("label_size", "expected"), [("full", (16, 16)), ("input", (8, 8))])
def test_input_and_target_come_from_the_crop(label_size, expected):
    data = tiny_recipe({"data": {"input_scale": 0.5, "label_size": label_size}}).data
    batch = prepare_batch(random_batch(2), data, CPU)
    assert batch.image.shape == (2, 3, 8, 8)
    assert batch.image_hr.shape == (2, 3, 16, 16)
    assert batch.target.shape == (2, *expected)
    assert batch.target.dtype == torch.int64


def test_a_target_by_majority():
    batch = random_batch(2)
    wanted = {"input_scale": 0.5, "label_size": "input", "label_shrink": "majority"}
    target = prepare_batch(batch, tiny_recipe({"data": wanted}).data, CPU).target
    assert torch.equal(target, shrink_by_majority(batch.label_map.long(), (8, 8), 255))


def test_bf16_trains_in_autocast_and_keeps_the_weights_in_fp32():
    model = TinyNetwork(dropout=0.0)
    before = weights(model)
    seen = []

    def objective(output, batch, step) -> dict[str, Tensor]:
        seen.append(output.logits.dtype)
        return create_objective(tiny_recipe(), TinyDataset.labels)(output, batch, step)

    result = create_step(model, objective, precision="bf16")(random_batch(4), 0)
    assert seen == [torch.bfloat16]
    assert result.losses["loss"] == pytest.approx(0.7, abs=0.3)
    assert all(value.dtype == torch.float32 for value in model.parameters())
    assert not equal(weights(model), before)


def test_one_step_changes_every_parameter_of_a_dsrl_network():
    torch.manual_seed(0)
    model = create_model("fcn", backbone="resnet18", num_classes=2, dsrl={"stage": 3})
    recipe = tiny_recipe(
        {
            "data": {"input_scale": 0.5, "crop_size": [64, 64]},
            "dsrl": {"enabled": True, "stage": 3},
            "training": {"batch_size": 2, "weight_decay": 0.0},
        }
    )
    step = TrainingStep(
        model,
        create_objective(recipe, TinyDataset.labels),
        create_optimizer(model, recipe.training),
        lr_factor=lambda step: 1.0,
        data=recipe.data,
        training=recipe.training,
        device=CPU,
        seed=recipe.seed,
    )
    before = weights(model)
    image = torch.randint(0, 256, (2, 3, 64, 64), dtype=torch.uint8)
    label_map = torch.randint(0, 2, (2, 64, 64), dtype=torch.uint8)
    step(RawBatch(image, label_map, ("one", "two")), 0)
    after = weights(model)
    assert {name.split(".")[0] for name in after} == {"host", "sisr_decoder", "ftm"}
    assert [name for name in before if torch.equal(before[name], after[name])] == []


def broken_at(step_number: int):
    """The usual loss, not finite in one step."""
    usual = create_objective(tiny_recipe(), TinyDataset.labels)

    def objective(output, batch, step):
        factor = float("inf") if step == step_number else 1.0
        return {name: term * factor for name, term in usual(output, batch, step).items()}

    return objective


def test_a_step_that_is_not_finite_can_be_skipped_and_leaves_nothing_behind():
    model = TinyNetwork().train()
    step = create_step(model, broken_at(0), on_nan="skip")
    before = {name: value.clone() for name, value in model.state_dict().items()}
    result = step(random_batch(4), 0)
    assert "step 1: loss or gradient is not finite; it is skipped" in result.skipped
    assert "image_0" in result.skipped
    for name, value in model.state_dict().items():  # running statistics too
        assert torch.equal(value, before[name]), name
    assert step(random_batch(4), 1).skipped is None
    assert not torch.equal(model.classifier.weight, before["classifier.weight"])


def test_a_gradient_is_cut_value_by_value():
    model = TinyNetwork()
    step = create_step(
        model, lambda *_: {"x": 100 * model.classifier.bias.sum()}, clip_grad_value=0.5
    )
    step(random_batch(2), 0)
    assert torch.equal(model.classifier.bias.grad, torch.full((2,), 0.5))


def test_fp16_scales_the_loss_and_a_gradient_that_overflows_halves_the_scale():
    model = TinyNetwork(dropout=0.0).train()
    step = create_step(model, precision="fp16")
    assert step.scaler.get_scale() == 65536
    before = weights(model)
    step.scaler.load_state_dict({**step.scaler.state_dict(), "scale": 2.0**60})
    step(random_batch(2), 0)
    assert equal(weights(model), before)
    assert step.scaler.get_scale() == 2.0**59
    step.scaler.load_state_dict({**step.scaler.state_dict(), "scale": 1024.0})
    result = step(random_batch(2), 1)
    assert not equal(weights(model), before)
    assert result.grad_norm < 10  # unscaled before it is measured


def test_an_fp16_step_that_is_skipped_halves_the_scale_and_the_next_one_is_made():
    model = TinyNetwork().train()
    step = create_step(model, broken_at(0), on_nan="skip", precision="fp16")
    assert step(random_batch(4), 0).skipped is not None
    assert step.scaler.get_scale() == 32768
    before = weights(model)
    step.scaler.load_state_dict({**step.scaler.state_dict(), "scale": 1024.0})
    assert step(random_batch(4), 1).skipped is None
    assert not equal(weights(model), before)


def test_an_fp16_run_whose_first_gradient_overflows_begins_with_momentum_zero(monkeypatch):
    monkeypatch.setattr(torch.utils.deterministic, "fill_uninitialized_memory", True)  # with NaN
    model = TinyNetwork(dropout=0.0).train()
    step = create_step(model, precision="fp16", momentum=0.9)
    step.scaler.load_state_dict({**step.scaler.state_dict(), "scale": 2.0**60})
    torch.use_deterministic_algorithms(True)
    try:
        step(random_batch(2), 0)
        step.scaler.load_state_dict({**step.scaler.state_dict(), "scale": 1024.0})
        step(random_batch(2), 1)
    finally:
        torch.use_deterministic_algorithms(False)
    momentum = step.optimizer.state[model.classifier.weight]["momentum_buffer"]
    assert torch.equal(momentum, model.classifier.weight.grad)
    assert all(value.isfinite().all() for value in weights(model).values())


def test_losses_are_read_without_doubles_which_a_mac_s_gpu_does_not_have(monkeypatch):
    def refuse(tensor):
        raise TypeError("the MPS framework doesn't support float64")

    monkeypatch.setattr(Tensor, "double", refuse)
    assert create_step(TinyNetwork())(random_batch(2), 0).losses["loss"] > 0


def test_a_compiled_network_makes_the_same_step():
    ours, theirs = twins(dropout=0.0)
    step = create_step(ours)
    step.network = torch.compile(ours, backend="aot_eager")
    raw = random_batch(4)
    step(raw, 0)
    create_step(theirs)(raw, 0)
    for name, value in weights(theirs).items():
        assert torch.allclose(weights(ours)[name], value, atol=1e-6), name
