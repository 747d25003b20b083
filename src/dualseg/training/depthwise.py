"""Depthwise convolutions that bfloat16 makes slower on a processor, trained in fp32."""

from collections.abc import Callable, Sequence
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor
from torch.overrides import TorchFunctionMode


class FastDepthwise(TorchFunctionMode):
    """While it is active, autocast to bfloat16 on the CPU leaves out what it would slow down.

    oneDNN has a fast backward pass in bfloat16 for depthwise convolutions of 3x3 with stride 1 and
    without dilation, or with one that reaches over half of the map. Others take two to five times
    as long as in fp32 (`benchmarks/depthwise.py`), so they are computed in fp32, and their output
    is bfloat16 again. Forward passes without gradients are left alone: they are fast in bfloat16.

    It is off during a backward pass, so activations that are computed again there must not have
    been computed under it.
    """

    def __torch_function__(
        self,
        func: Callable[..., Any],
        types: Sequence[type],
        args: Sequence[Any] = (),
        kwargs: dict[str, Any] | None = None,
    ) -> Any:
        kwargs = kwargs or {}
        if func is F.conv2d and _is_slow(*args, **kwargs):
            return _in_fp32(*args, **kwargs)
        return func(*args, **kwargs)


def _is_slow(
    input: Tensor,
    weight: Tensor,
    bias: Tensor | None = None,
    stride: int | Sequence[int] = 1,
    padding: str | int | Sequence[int] = 0,
    dilation: int | Sequence[int] = 1,
    groups: int = 1,
) -> bool:
    if groups == 1 or weight.shape[1] != 1:
        return False
    step = _largest(dilation)
    is_dense = step == 1 or 2 * step >= min(input.shape[2:])
    is_fast = weight.shape[2:] == (3, 3) and _largest(stride) == 1 and is_dense
    return (
        not is_fast
        and (weight.requires_grad or input.requires_grad)
        and input.device.type == "cpu"
        and torch.is_autocast_enabled("cpu")
        and torch.get_autocast_dtype("cpu") == torch.bfloat16
    )


def _in_fp32(input: Tensor, weight: Tensor, bias: Tensor | None = None, *args, **kwargs) -> Tensor:
    with torch.autocast("cpu", enabled=False):
        answer = F.conv2d(
            input.float(),
            weight.float(),
            None if bias is None else bias.float(),
            *args,
            **kwargs,
        )
    return answer.to(torch.bfloat16)


def _largest(steps: int | Sequence[int]) -> int:
    return steps if isinstance(steps, int) else max(steps)
