"""Batch norm over the images of all processes, on any device.

torch's own `SyncBatchNorm` refuses tensors on the CPU, and its conversion loses the activation that
timm keeps inside some norm layers.
"""

from typing import Any

import torch
import torch.distributed as dist
from timm.layers import BatchNormAct2d
from torch import Tensor, nn
from torch.autograd.function import once_differentiable
from torch.nn.modules.batchnorm import _BatchNorm

from dualseg.training.optimization.freezing import has_frozen_statistics


def synchronize_batch_norm(model: nn.Module) -> int:
    """Lets every batch norm of a network take its statistics over all processes.

    Parameters, buffers and their names stay; layers whose statistics are frozen stay too.

    Returns:
        How many layers were changed.
    """
    count = 0
    for module in list(model.modules()):
        for name, child in module.named_children():
            if isinstance(child, _BatchNorm) and not has_frozen_statistics(child):
                setattr(module, name, SyncedBatchNorm(child))
                count += 1
    return count


class SyncedBatchNorm(_BatchNorm):
    """A batch norm layer's twin, with its parameters, whose batch is that of all processes.

    In evaluation it is plain batch norm. A batch of one value a channel is enough in each process
    as long as all of them together have two.

    Args:
        layer: The layer to replace; timm's activation inside it is kept.

    Shape: (B, C, ...) -> the same.
    """

    def __init__(self, layer: _BatchNorm):
        super().__init__(
            layer.num_features,
            eps=layer.eps,
            momentum=layer.momentum,
            affine=layer.affine,
            track_running_stats=layer.track_running_stats,
        )
        self.weight, self.bias = layer.weight, layer.bias
        for name in ("running_mean", "running_var", "num_batches_tracked"):
            setattr(self, name, getattr(layer, name))
        is_timms = isinstance(layer, BatchNormAct2d)
        self.drop: nn.Module | None = layer.drop if is_timms else None  # type: ignore[assignment]
        self.act: nn.Module | None = layer.act if is_timms else None  # type: ignore[assignment]
        self.train(layer.training)

    def _check_input_dim(self, input: Tensor) -> None:
        if input.dim() < 2:
            raise ValueError(f"batch norm needs (B, C, ...), not {tuple(input.shape)}")

    def forward(self, input: Tensor) -> Tensor:
        if self.training and dist.is_initialized():
            output = self._over_all_processes(input)
        else:
            output = super().forward(input)
        if self.drop is not None:
            output = self.drop(output)
        return output if self.act is None else self.act(output)

    def _over_all_processes(self, input: Tensor) -> Tensor:
        mean, var, count = _statistics(input)
        if self.track_running_stats and self.running_mean is not None:
            assert self.running_var is not None
            assert self.num_batches_tracked is not None
            self.num_batches_tracked.add_(1)
            share = self.momentum
            if share is None:
                share = 1.0 / float(self.num_batches_tracked)
            unbiased = var * (count / max(count - 1.0, 1.0))
            self.running_mean.lerp_(mean.to(self.running_mean.dtype), share)
            self.running_var.lerp_(unbiased.to(self.running_var.dtype), share)
        return _Normalize.apply(input, self.weight, self.bias, mean, var, count, self.eps)


@torch.no_grad()
def _statistics(input: Tensor) -> tuple[Tensor, Tensor, float]:
    """Mean and biased variance of each channel over all processes, and values a channel.

    Every process combines the same numbers in the same order, so all get the same bits.

    Source: Chan, Golub and LeVeque 1979 (the pairwise update of means and squared deviations).
    """
    dims = [0, *range(2, input.dim())]
    values = input.detach().float()
    mean = values.mean(dim=dims)
    squares = (values - mean.view(1, -1, *[1] * (input.dim() - 2))).square().sum(dim=dims)
    count = torch.tensor([float(input.numel() // input.shape[1])], device=input.device)
    mine = torch.cat([mean, squares, count])
    gathered = [torch.empty_like(mine) for _ in range(dist.get_world_size())]
    dist.all_gather(gathered, mine)
    parts = torch.stack(gathered).double()  # (processes, 2C + 1)
    channels = len(mean)
    means, deviations, counts = parts[:, :channels], parts[:, channels:-1], parts[:, -1:]
    total = counts.sum()
    whole = (means * counts).sum(dim=0) / total
    spread = deviations.sum(dim=0) + (counts * (means - whole).square()).sum(dim=0)
    return whole.float(), (spread / total).float(), float(total)


class _Normalize(torch.autograd.Function):
    """weight * (x - mean) / sqrt(var + eps) + bias, with the gradient through mean and var."""

    @staticmethod
    def forward(  # type: ignore[override]
        ctx: Any,
        input: Tensor,
        weight: Tensor | None,
        bias: Tensor | None,
        mean: Tensor,
        var: Tensor,
        count: float,
        eps: float,
    ) -> Tensor:
        ctx.save_for_backward(input, weight, mean, torch.rsqrt(var + eps))
        ctx.count = count
        return nn.functional.batch_norm(input, mean, var, weight, bias, False, 0.0, eps)

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, upstream: Tensor) -> tuple[Tensor | None, ...]:  # type: ignore[override]
        input, weight, mean, scale = ctx.saved_tensors
        shape = (1, -1, *[1] * (input.dim() - 2))
        dims = [0, *range(2, input.dim())]
        gradient = upstream.float()
        normalized = (input.float() - mean.view(shape)) * scale.view(shape)
        of_bias = gradient.sum(dim=dims)
        of_weight = (gradient * normalized).sum(dim=dims)
        sums = torch.cat([of_bias, of_weight])
        dist.all_reduce(sums)
        first, second = (sums / ctx.count).chunk(2)
        factor = scale if weight is None else scale * weight.float()
        of_input = gradient - first.view(shape) - normalized * second.view(shape)
        of_input = (of_input * factor.view(shape)).to(input.dtype)
        if weight is None:
            return of_input, None, None, None, None, None, None
        return (
            of_input,
            of_weight.to(weight.dtype),  # of this process's images; summed with the others'
            of_bias.to(weight.dtype),
            None,
            None,
            None,
            None,
        )
