"""Optimisers whose groups hold every trainable parameter once; their state as named tensors."""

from collections.abc import Mapping
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn.modules.batchnorm import _NormBase
from torch.optim import SGD, Adam, AdamW, Optimizer

from dualseg.config import TrainingSettings
from dualseg.core.errors import InputError
from dualseg.training.optimization.parts import longest_prefix, require_parts

NORM_LAYERS = (_NormBase, nn.GroupNorm, nn.LayerNorm)

PREFIX = "optimizer"
GROUP_STEP = "group_step"


def create_optimizer(model: nn.Module, settings: TrainingSettings) -> Optimizer:
    """SGD, Adam, AdamW or timm's LAMB over the network's parts, with and without weight decay.

    Norm layers, biases and other parameters of fewer than two dimensions do not decay. A part in
    `lr_multipliers` learns so many times as fast; what is in none of them and outside the backbone,
    `head_lr_multiplier` times as fast. Frozen parameters stand in no group.

    Raises:
        InputError: No parameter is trainable, or a part the network does not have.
    """
    require_parts(model, settings.lr_multipliers, key="training.lr_multipliers")
    groups = _groups(model, settings)
    if not groups:
        raise InputError("the network has no trainable parameter; nothing can be learned")
    _require_each_once(model, groups)
    fused = all(p.device.type in ("cpu", "cuda") for group in groups for p in group["params"])
    if settings.optimizer == "lamb":
        return _lamb(groups, settings.lr)
    if settings.optimizer in ("adam", "adamw"):
        kind = Adam if settings.optimizer == "adam" else AdamW
        return kind(groups, fused=fused or None)
    return SGD(
        groups,
        lr=settings.lr,
        momentum=settings.momentum,
        nesterov=settings.nesterov,
        fused=fused or None,
    )


def num_moments(settings: TrainingSettings) -> int:
    """Numbers the optimiser keeps for each trainable one."""
    if settings.optimizer == "sgd":
        return 1 if settings.momentum else 0
    return 2


def set_lr(optimizer: Optimizer, factor: float) -> float:
    """Every group's learning rate becomes its base times `factor`; returns the first group's."""
    for group in optimizer.param_groups:
        group["lr"] = group["base_lr"] * factor
    return optimizer.param_groups[0]["lr"]


def optimizer_tensors(optimizer: Optimizer, model: nn.Module) -> dict[str, Tensor]:
    """The optimiser's state as `optimizer/KEY/PARAMETER`; rates and decays come from the recipe."""
    tensors = {}
    for name, parameter in model.named_parameters():
        for key, value in optimizer.state.get(parameter, {}).items():
            if value is not None:
                tensors[f"{PREFIX}/{key}/{name}"] = torch.as_tensor(value)
    for number, group in enumerate(optimizer.param_groups):
        if "step" in group:  # timm's optimisers count by group
            tensors[f"{PREFIX}/{GROUP_STEP}/{number}"] = torch.as_tensor(group["step"])
    return tensors


def restore_optimizer(
    optimizer: Optimizer, model: nn.Module, tensors: Mapping[str, Tensor]
) -> None:
    """The inverse of `optimizer_tensors`, into an optimiser that has not stepped yet.

    State takes its parameter's memory layout and device, as it had before: kernels for different
    layouts may round differently.

    Raises:
        InputError: State for a parameter that is not there, or of another shape.
    """
    parameters = dict(model.named_parameters())
    for full_name, tensor in tensors.items():
        prefix, _, rest = full_name.partition("/")
        if prefix != PREFIX:
            continue
        key, _, name = rest.partition("/")
        if key == GROUP_STEP:
            optimizer.param_groups[int(name)]["step"] = tensor.clone()
            continue
        if name not in parameters:
            raise InputError(f"the training state knows a parameter {name!r} that is not there")
        parameter = parameters[name]
        if tensor.ndim and tensor.shape != parameter.shape:
            raise InputError(
                f"the training state of {name} has shape {tuple(tensor.shape)}, "
                f"the parameter has {tuple(parameter.shape)}"
            )
        optimizer.state[parameter][key] = _laid_out_like(parameter, tensor)


def _laid_out_like(parameter: Tensor, tensor: Tensor) -> Tensor:
    if tensor.shape != parameter.shape:  # a step count
        return tensor.to(parameter.device) if parameter.device.type != "cpu" else tensor
    return torch.empty_like(parameter, dtype=tensor.dtype, requires_grad=False).copy_(tensor)


def _groups(model: nn.Module, settings: TrainingSettings) -> list[dict[str, Any]]:
    """Up to two groups a part: the listed parts, the backbone, then everything else."""
    sorted_in: dict[tuple[bool, str, bool], list[nn.Parameter]] = {}
    seen: set[int] = set()
    for module_name, module in model.named_modules():
        for name, parameter in module.named_parameters(module_name, recurse=False):
            if not parameter.requires_grad or id(parameter) in seen:
                continue
            seen.add(id(parameter))
            head = "backbone" not in name.split(".")
            part = longest_prefix(name, settings.lr_multipliers) or ""
            decays = parameter.ndim > 1 and not isinstance(module, NORM_LAYERS)
            sorted_in.setdefault((head, part, not decays), []).append(parameter)
    groups = []
    for (head, part, plain), parameters in sorted(sorted_in.items(), key=lambda item: item[0]):
        usual = settings.head_lr_multiplier if head else 1.0
        lr = settings.lr * settings.lr_multipliers.get(part, usual)
        decay = 0.0 if plain else settings.weight_decay
        group = {"params": parameters, "lr": lr, "base_lr": lr, "weight_decay": decay}
        name = part or ("head" if head else "backbone")
        groups.append({**group, "name": name + "_plain" * plain})
    return groups


def _lamb(groups: list[dict[str, Any]], lr: float) -> Optimizer:
    """timm's, whose own clipping is off: `clip_grad_norm` says what is clipped.

    Source: You et al. 2020, arXiv:1904.00962; the code is timm's.
    """
    from timm.optim import Lamb

    return Lamb(groups, lr=lr, max_grad_norm=None)


def _require_each_once(model: nn.Module, groups: list[dict[str, Any]]) -> None:
    in_groups = sorted(id(parameter) for group in groups for parameter in group["params"])
    trainable = sorted(id(parameter) for parameter in model.parameters() if parameter.requires_grad)
    assert in_groups == trainable, (
        "a trainable parameter is missing from the groups or stands twice"
    )
