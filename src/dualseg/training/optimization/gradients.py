"""Gradients of many processes become those of their whole batch."""

import warnings

import torch
import torch.distributed as dist
from torch import Tensor, nn
from torch.nn.parallel import DistributedDataParallel

from dualseg.core.outputs import SegmentationOutput


def share_gradients(model: nn.Module, device: torch.device) -> DistributedDataParallel:
    """The network whose backward pass leaves the same gradient in every process: the sum.

    Weights are copied from the first process. Running statistics are not exchanged here. Its
    buckets never change: rebuilt after the first step, as is usual, the first step after a resume
    would add three or more processes' numbers in another order.

    Args:
        model: On its device; with every parameter that will be trained.
        device: Of this process.
    """
    warnings.filterwarnings("ignore", message=".*Grad strides do not match bucket view.*")
    network = DistributedDataParallel(
        _WithUnused(model).to(device),
        device_ids=[device.index] if device.type == "cuda" else None,
        broadcast_buffers=False,
        find_unused_parameters=True,  # the switch that keeps the buckets
    )
    network.register_comm_hook(None, _sum)
    return network


class _WithUnused(nn.Module):
    """A network and a parameter it does not use.

    torch prints a paragraph from every process where unused parameters are allowed and there are
    none.
    """

    def __init__(self, network: nn.Module):
        super().__init__()
        self.network = network
        self.unused = nn.Parameter(torch.zeros(1))

    def forward(self, images: Tensor) -> SegmentationOutput:
        return self.network(images)


def _sum(_: object, bucket: dist.GradBucket) -> torch.futures.Future[Tensor]:
    work = dist.all_reduce(bucket.buffer(), async_op=True)
    assert work is not None
    return work.get_future().then(lambda done: done.value()[0])
