"""Layers removed that no answer depends on."""

from torch import nn

from dualseg.core.geometry import Size
from dualseg.export.rewrites.copying import replace_module, shared_copy
from dualseg.export.rewrites.flow import PROBE_SIZE, Flow, observe
from dualseg.models.dsrl.model import DsrlModel
from dualseg.models.segmentation import SegmentationModel


def drop_dead_branches(model: nn.Module, *, size: Size = PROBE_SIZE) -> nn.Module:
    """Without layers that are never called in evaluation, and without those whose result is unread.

    Auxiliary heads and DSRL's training branches go with `prune`; what else is never called follows
    (a backbone's own classifier), then what is called for nothing, such as the deep stages
    of a backbone of which a head reads the first only.

    Args:
        model: Left as it is; the weights that stay are shared.
        size: Of the image that finds out.
    """
    has_branches = isinstance(model, SegmentationModel | DsrlModel)
    live = shared_copy(model.prune() if has_branches else model)
    flow = observe(live, size)
    for name in _outermost(_idle(live, flow)):
        replace_module(live, name, nn.Identity())
    return live


def _idle(model: nn.Module, flow: Flow) -> set[str]:
    """Names of modules with weights that do nothing for the result."""
    alive = flow.live()
    needed = set().union(
        *(op.reads for op, used in zip(flow.operations, alive, strict=True) if used)
    )
    calls: dict[str, list[bool]] = {}
    for call in flow.calls:
        useful = any(alive[call.first : call.end]) or not call.is_plain
        calls.setdefault(call.name, []).append(useful)
    idle = set()
    for name, module in model.named_modules():
        weights = [*module.parameters()]
        if not name or not weights or isinstance(module, nn.ModuleList | nn.ModuleDict):
            continue
        inner = [n for n in calls if n == name or n.startswith(f"{name}.")]
        is_read = any(w.untyped_storage().data_ptr() in needed for w in weights)
        if not is_read and not any(useful for n in inner for useful in calls[n]):
            idle.add(name)
    return idle


def _outermost(names: set[str]) -> list[str]:
    """Those that lie in none of the others."""
    return sorted(
        name
        for name in names
        if not any(name.startswith(f"{other}.") for other in names if other != name)
    )
