"""Batch norm folded into the convolution before it."""

from collections import defaultdict

import torch
from timm.layers import Conv2dSame
from torch import Tensor, nn

from dualseg.core.geometry import Size
from dualseg.export.rewrites.copying import replace_module, shared_copy
from dualseg.export.rewrites.flow import PROBE_SIZE, Flow, observe
from dualseg.models.backbones.dilation import TrailingConv2d

Convolution = nn.Conv2d | nn.ConvTranspose2d

FOLDABLE = (nn.Conv2d, nn.ConvTranspose2d, Conv2dSame, TrailingConv2d)


def fold_batch_norms(model: nn.Module, *, size: Size = PROBE_SIZE) -> nn.Module:
    """Multiplies each batch norm's scale into the convolution it follows, and adds its shift.

    Depthwise, grouped, dilated and transposed convolutions alike. A batch norm stays where anything
    else reads the convolution's result, or where it follows something else (an activation, a
    concatenation).

    Args:
        model: Left as it is; weights that are not folded are shared.
        size: Of the image that finds out what follows what.

    Returns:
        The network with fewer layers, in evaluation mode.

    Source: Jacob et al. 2018, arXiv:1712.05877, section 3.2.
    """
    folded = shared_copy(model)
    for convolution_name, norm_name in _pairs(folded, observe(folded, size)):
        convolution = folded.get_submodule(convolution_name)
        norm = folded.get_submodule(norm_name)
        assert isinstance(convolution, Convolution)
        assert isinstance(norm, nn.BatchNorm2d)
        replace_module(folded, convolution_name, _with_norm(convolution, norm))
        replace_module(folded, norm_name, _what_follows(norm))
    return folded


def _pairs(model: nn.Module, flow: Flow) -> list[tuple[str, str]]:
    """(convolution, batch norm) where each only ever meets the other."""
    norms = [c for c in flow.calls if isinstance(model.get_submodule(c.name), nn.BatchNorm2d)]
    partners: dict[str, set[str]] = defaultdict(set)
    sources: dict[str, set[str]] = defaultdict(set)
    for call in flow.calls:
        if type(model.get_submodule(call.name)) not in FOLDABLE:
            continue
        # Of the readers, those outside: a convolution may read what it has padded itself.
        readers = [n for n in flow.readers(call.outputs) if not call.first <= n < call.end]
        found = [
            norm.name
            for norm in norms
            if norm.inputs == call.outputs and readers and norm.first <= readers[0] < norm.end
        ]
        name = found[0] if len(readers) == 1 and found else ""
        if call.outputs & flow.results:
            name = ""
        partners[call.name].add(name)
        sources[name].add(call.name)
    calls_of = {n.name: sum(other.name == n.name for other in norms) for n in norms}
    made = {name: sum(call.name == name for call in flow.calls) for name in partners}
    pairs = []
    for convolution, met in partners.items():
        (norm,) = met if len(met) == 1 else ("",)
        if norm and sources[norm] == {convolution} and calls_of[norm] == made[convolution]:
            pairs.append((convolution, norm))
    return pairs


@torch.no_grad()
def _with_norm(convolution: Convolution, norm: nn.BatchNorm2d) -> nn.Module:
    """The convolution with weights and bias that do what both did."""
    assert norm.running_mean is not None
    assert norm.running_var is not None
    scale = torch.rsqrt(norm.running_var.double() + norm.eps)
    if norm.weight is not None:
        scale = scale * norm.weight.double()
    shift = -norm.running_mean.double() * scale
    if convolution.bias is not None:
        shift = shift + convolution.bias.double() * scale
    if norm.bias is not None:
        shift = shift + norm.bias.double()
    folded = shared_copy(convolution)
    folded.weight = _parameter(_scaled(convolution, scale), convolution.weight)
    folded.bias = _parameter(shift, convolution.weight)
    return folded


def _scaled(convolution: Convolution, scale: Tensor) -> Tensor:
    """Each output channel's weights times its scale."""
    weight = convolution.weight.double()
    if not isinstance(convolution, nn.ConvTranspose2d):
        return weight * scale.view(-1, 1, 1, 1)
    groups = convolution.groups  # weights are (C_in, C_out / groups, kh, kw), inputs by group
    by_group = weight.unflatten(0, (groups, -1)) * scale.view(groups, 1, -1, 1, 1)
    return by_group.flatten(0, 1)


def _parameter(values: Tensor, like: Tensor) -> nn.Parameter:
    return nn.Parameter(values.to(like.dtype), requires_grad=like.requires_grad)


def _what_follows(norm: nn.BatchNorm2d) -> nn.Module:
    """timm's batch norms may hold an activation."""
    inside = [getattr(norm, name) for name in ("drop", "act") if hasattr(norm, name)]
    return nn.Sequential(*inside) if inside else nn.Identity()
