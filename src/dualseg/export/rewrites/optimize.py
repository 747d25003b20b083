"""The rewrites that are faster here, found by measuring them."""

from collections.abc import Callable, Mapping
from statistics import median
from typing import Any, NamedTuple

import torch
from torch import Tensor, nn

from dualseg.core.errors import InputError, nearest
from dualseg.core.geometry import Size
from dualseg.core.outputs import SegmentationOutput
from dualseg.export.rewrites.attention_in_parts import PARTS, attends_everywhere, in_parts
from dualseg.export.rewrites.batch_norms import fold_batch_norms
from dualseg.export.rewrites.copying import replace_module, shared_copy
from dualseg.export.rewrites.dead_branches import drop_dead_branches
from dualseg.export.rewrites.dilated import FORMS, is_dilated
from dualseg.export.rewrites.flow import noise
from dualseg.export.rewrites.measure import RUNTIMES, Runtime, milliseconds_in_turns, runnable
from dualseg.export.rewrites.pooled_context import PooledContextHead
from dualseg.export.rewrites.pooling import make_pooling_exportable
from dualseg.export.rewrites.shapes import Shapes, input_shapes
from dualseg.export.rewrites.shared_aspp import SharedASPP, can_share
from dualseg.models.heads.head import HeadOutput
from dualseg.models.heads.psp import PSPHead
from dualseg.models.layers import ASPP

MIN_GAIN = 1.03  # a rewrite that gains less stays out: it may be noise
ROUNDS = 5


class Step(NamedTuple):
    """One rewrite that was tried.

    Attributes:
        what: The rewrite.
        where: Names of the modules it was for; empty for the whole network.
        gain: Time before by time after, measured at the place; None where nothing was measured.
        is_kept: Whether the network has it.
        whole_gain: The same of the whole network, of the form that was the fastest at the place.
    """

    what: str
    where: tuple[str, ...]
    gain: float | None
    is_kept: bool
    whole_gain: float | None = None


class Optimized(NamedTuple):
    """The rewritten network, and everything that was tried."""

    model: nn.Module
    steps: tuple[Step, ...]


class _Choice(NamedTuple):
    """Modules of one kind and one input shape, and what could stand in their place."""

    names: tuple[str, ...]
    shapes: Shapes
    ways: Mapping[str, Callable[[Any], nn.Module]]


def optimize(
    model: nn.Module,
    *,
    size: Size,
    batch: int = 1,
    runtime: Runtime = "eager",
    measure: bool = True,
    rounds: int = ROUNDS,
) -> Optimized:
    """Exact rewrites for inference at one size; only those that are faster on this machine.

    Dead branches are dropped and batch norms folded in any case: that only removes work. Pooling is
    made exportable. Dilated convolutions, ASPPs, PSPNet's head and attention among all positions
    are then timed against their other forms, each on inputs of the shape they meet.

    Args:
        model: Left as it is; weights are shared where a rewrite does not change them.
        size: (height, width) of the network's input.
        batch: Images at once.
        runtime: Where it is going to run and is timed: "eager", "eager_bf16" or "openvino".
        measure: False: nothing is timed, and only what is done in any case is done.
        rounds: Timed runs of each form; the fastest counts.

    Returns:
        A network in evaluation mode that answers as `model` does, and what was tried.

    Raises:
        InputError: An unknown runtime, or OpenVINO is not installed.
    """
    if runtime not in RUNTIMES:
        raise InputError(f"runtime {runtime!r} is unknown; {nearest(runtime, RUNTIMES)}")
    rewritten = fold_batch_norms(drop_dead_branches(model))
    steps = [
        Step("dead branches dropped", (), None, True),
        Step("batch norms folded", (), None, True),
    ]
    if measure:
        original = shared_copy(rewritten)
        for find in (_dilated_convolutions, _aspps, _pyramids, _attentions):
            shapes = input_shapes(rewritten, size, batch)
            for choice in find(rewritten, original, shapes):
                rewritten, tried = _choose(rewritten, choice, size, batch, runtime, rounds)
                steps += tried
    rewritten = make_pooling_exportable(rewritten)
    return Optimized(rewritten, (*steps, Step("pooling made exportable", (), None, True)))


def _choose(
    model: nn.Module, choice: _Choice, size: Size, batch: int, runtime: Runtime, rounds: int
) -> tuple[nn.Module, list[Step]]:
    """The network with the fastest form of one kind of module, if all of it is faster so."""
    module = model.get_submodule(choice.names[0])
    inputs = [torch.randn(shape) for shape in choice.shapes]
    forms = {what: way(module) for what, way in choice.ways.items()}
    ways = [runnable(_Alone(form), inputs, runtime) for form in (module, *forms.values())]
    before, *after = [min(own) for own in milliseconds_in_turns(ways, rounds=rounds)]
    gains = {what: before / own for what, own in zip(forms, after, strict=True)}
    del ways
    best = max(gains, key=lambda what: gains[what])
    whole_gain = None
    if gains[best] >= MIN_GAIN:
        changed = shared_copy(model)
        for name in choice.names:
            replace_module(changed, name, choice.ways[best](changed.get_submodule(name)))
        whole_gain = _whole_gain(model, changed, noise(model, size, batch=batch), runtime, rounds)
        if whole_gain > 1.0:
            model = changed
    steps = []
    for what, gain in gains.items():
        own_whole = whole_gain if what == best else None
        is_kept = own_whole is not None and own_whole > 1.0
        steps.append(Step(what, choice.names, gain, is_kept, own_whole))
    return model, steps


def _whole_gain(
    model: nn.Module, changed: nn.Module, images: Tensor, runtime: Runtime, rounds: int
) -> float:
    """Median over the rounds of the network's time by the changed one's."""
    ways = [runnable(_Alone(network), [images], runtime) for network in (model, changed)]
    before, after = milliseconds_in_turns(ways, rounds=rounds)
    return median(own / other for own, other in zip(before, after, strict=True))


def _dilated_convolutions(
    model: nn.Module, original: nn.Module, shapes: dict[str, Shapes]
) -> list[_Choice]:
    alike: dict[tuple[object, ...], list[str]] = {}
    for name, module in model.named_modules():
        if is_dilated(module) and name in shapes:
            kind = (module.out_channels, module.dilation, module.bias is not None, *shapes[name])
            alike.setdefault(kind, []).append(name)
    ways = {f"dilated convolution: {form}": way for form, way in FORMS.items()}
    return [_Choice(tuple(names), shapes[names[0]], ways) for names in alike.values()]


def _aspps(model: nn.Module, original: nn.Module, shapes: dict[str, Shapes]) -> list[_Choice]:
    """Against the branches as they are by now."""
    found = []
    for name, module in original.named_modules():
        if isinstance(module, ASPP) and can_share(module):
            ways = {"ASPP: one product for all branches": lambda _, aspp=module: SharedASPP(aspp)}
            found.append(_Choice((name,), shapes[name], ways))
    return found


def _pyramids(model: nn.Module, original: nn.Module, shapes: dict[str, Shapes]) -> list[_Choice]:
    ways = {"pyramid pooling: fused before it is enlarged": PooledContextHead}
    return [
        _Choice((name,), shapes[name], ways)
        for name, module in model.named_modules()
        if isinstance(module, PSPHead)
    ]


def _attentions(model: nn.Module, original: nn.Module, shapes: dict[str, Shapes]) -> list[_Choice]:
    alike: dict[tuple[object, ...], list[str]] = {}
    for name, module in model.named_modules():
        if attends_everywhere(module) and name in shapes:
            alike.setdefault((type(module), *shapes[name]), []).append(name)
    ways = {f"attention: queries in {parts} parts": in_parts(parts) for parts in PARTS}
    return [_Choice(tuple(names), shapes[names[0]], ways) for names in alike.values()]


class _Alone(nn.Module):
    """A layer, a head or a network as a function of tensors that gives one tensor."""

    def __init__(self, module: nn.Module):
        super().__init__()
        self.module = module

    def forward(self, *tensors: Tensor) -> Tensor:
        output = self.module(*tensors) if len(tensors) == 1 else self.module(list(tensors))
        if isinstance(output, SegmentationOutput):
            return output.logits
        return output.features if isinstance(output, HeadOutput) else output
