"""`optimize` keeps what is faster and nothing else."""

import pytest
import torch
from torch import nn

from dualseg.core.errors import InputError
from dualseg.export.rewrites import optimize as choosing
from dualseg.export.rewrites.dilated import OneProduct, is_dilated
from dualseg.export.rewrites.measure import milliseconds_in_turns, runnable
from dualseg.export.rewrites.optimize import optimize
from dualseg.export.rewrites.pooled_context import PooledContextHead
from dualseg.export.rewrites.shapes import input_shapes
from dualseg.export.rewrites.shared_aspp import SharedASPP
from dualseg.models.catalog import create_model
from dualseg.models.dsrl.model import DsrlModel

SIZE = (64, 96)


@pytest.fixture
def costs(monkeypatch):
    """Sets what the forms of a choice cost, in the order they are tried; the original costs 10."""

    def set_costs(*costs):
        def measured(ways, *, rounds):
            own = [10.0, *costs, *[20.0] * len(ways)][: len(ways)]
            return [[cost, cost + 1] for cost in own]

        monkeypatch.setattr(choosing, "milliseconds_in_turns", measured)

    return set_costs


def deeplab():
    return create_model("deeplabv3", backbone="resnet18", num_classes=4, output_stride=8).eval()


@torch.no_grad()
def assert_same(rewritten, model):
    for batch, height, width in [(1, *SIZE), (2, *SIZE)]:
        images = torch.randn(batch, 3, height, width)
        wanted = model(images).logits
        assert (rewritten(images).logits - wanted).abs().max() <= 1e-5 * wanted.abs().max()


def test_the_faster_form_is_kept_everywhere(costs):
    costs(5.0)
    model = deeplab()
    done = optimize(model, size=SIZE)
    assert_same(done.model, model)
    assert sum(isinstance(module, SharedASPP) for module in done.model.modules()) == 1
    assert not any(is_dilated(module) for module in done.model.modules())
    kept = [step for step in done.steps if step.is_kept and step.gain is not None]
    assert {step.gain for step in kept} == {2.0}
    assert any(isinstance(module, OneProduct) for module in done.model.modules())


def test_nothing_slower_is_kept(costs):
    costs(9.9, 30.0)
    model = deeplab()
    done = optimize(model, size=SIZE)
    kept = [step.what for step in done.steps if step.is_kept]
    assert kept == ["dead branches dropped", "batch norms folded", "pooling made exportable"]
    assert sum(is_dilated(module) for module in done.model.modules()) == sum(
        is_dilated(module) for module in model.modules()
    )
    assert len(done.steps) > len(kept)


def test_the_fastest_of_several_is_kept(costs):
    costs(8.0, 5.0, 6.0)
    done = optimize(deeplab(), size=SIZE)
    kept = {step.what for step in done.steps if step.is_kept and step.what.startswith("dilated")}
    assert kept == {"dilated convolution: a product a row"}


def test_a_form_that_slows_the_whole_network_down_is_left_out(monkeypatch):
    def measured(ways, *, rounds):
        if len(ways) == 2:  # the network as it is and changed; an ASPP has no more forms either
            return [[10.0], [11.0]]
        return [[10.0], *[[5.0]] * (len(ways) - 1)]

    monkeypatch.setattr(choosing, "milliseconds_in_turns", measured)
    model = deeplab()
    done = optimize(model, size=SIZE)
    tried = [step for step in done.steps if step.whole_gain is not None]
    assert tried
    assert not any(step.is_kept for step in tried)
    assert {step.whole_gain for step in tried} == {10 / 11}
    assert any(is_dilated(module) for module in done.model.modules())


def test_without_measuring_only_what_removes_work_is_done(monkeypatch):
    def refuse(*_, **__):
        raise AssertionError("timed")

    monkeypatch.setattr(choosing, "milliseconds_in_turns", refuse)
    model = deeplab()
    done = optimize(model, size=SIZE, measure=False)
    assert_same(done.model, model)
    assert {step.gain for step in done.steps} == {None}


def test_pyramid_pooling_is_tried(costs):
    costs(5.0)
    model = create_model("pspnet", backbone="resnet18", num_classes=4, output_stride=8).eval()
    done = optimize(model, size=SIZE)
    assert sum(isinstance(module, PooledContextHead) for module in done.model.modules()) == 1
    assert_same(done.model, model)


def test_a_real_measurement_ends_with_the_same_answers():
    model = create_model("deeplabv3plus", num_classes=4, backbone="resnet18", dsrl=True).eval()
    assert isinstance(model, DsrlModel)
    for runtime in ("eager", "eager_bf16"):
        done = optimize(model, size=SIZE, runtime=runtime, rounds=1)
        assert_same(done.model, model)


def test_an_unknown_runtime_is_refused():
    with pytest.raises(InputError, match="did you mean eager"):
        optimize(deeplab(), size=SIZE, runtime="eagr")


def test_openvino_runs_the_rewritten_network():
    pytest.importorskip("openvino")
    model = nn.Sequential(nn.Conv2d(3, 4, 3, padding=5, dilation=5))
    images = torch.randn(1, 3, 20, 30)
    with torch.no_grad():
        wanted = model(images).numpy()
    got = runnable(OneProduct(model[0]), [images], "openvino")()
    assert (
        abs(got.numpy() - wanted).max() <= 2e-2 * abs(wanted).max()
    )  # bf16 where the processor has it


def test_rewritten_networks_can_be_exported(costs):
    costs(5.0)
    model = create_model("pspnet", backbone="resnet18", num_classes=4, output_stride=8).eval()
    images = torch.randn(1, 3, *SIZE)
    for network in (model, deeplab()):
        done = optimize(network, size=SIZE).model
        exported = torch.export.export(done, (images,)).module()
        with torch.no_grad():
            wanted = network(images).logits
            assert (exported(images).logits - wanted).abs().max() <= 1e-5 * wanted.abs().max()


def test_shapes_are_those_at_the_size():
    shapes = input_shapes(deeplab(), (65, 96), batch=2)
    assert shapes[""] == ((2, 3, 65, 96),)
    assert shapes["head.aspp"] == ((2, 512, 9, 12),)


def test_times_are_taken_in_turns_and_the_first_round_is_dropped():
    order = []
    times = milliseconds_in_turns([lambda: order.append("a"), lambda: order.append("b")], rounds=2)
    assert order == ["a", "b"] * 3
    assert [len(own) for own in times] == [2, 2]
