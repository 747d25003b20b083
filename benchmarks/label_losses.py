"""Every loss over labels beside torch's cross-entropy, forward and backward.

    OMP_NUM_THREADS=1 python benchmarks/label_losses.py [--size 360x480] [--classes 19] [--batch 2]

Times are the best of the repeats, as a ratio to `F.cross_entropy(logits.float())`, in fp32 and in
bf16; memory is what one call allocates at most beyond the logits, in multiples of the fp32 logits'
size. segmentation_models_pytorch (the `bench` extra) stands beside. 15 % of the pixels are ignored,
logits favour the truth as in a network half trained.
"""

import argparse
import time
from collections.abc import Callable

import torch
import torch.nn.functional as F
from torch import Tensor
from torch.profiler import ProfilerActivity, profile

from dualseg.core.memory import keep_freed_memory
from dualseg.losses.bootstrapped import bootstrapped_cross_entropy
from dualseg.losses.boundary import boundary_loss
from dualseg.losses.cross_entropy import cross_entropy
from dualseg.losses.distillation import distillation_loss
from dualseg.losses.focal import focal_loss
from dualseg.losses.lovasz import lovasz_softmax
from dualseg.losses.ohem import ohem_cross_entropy
from dualseg.losses.tversky import dice_loss

REPEATS = 12

Loss = Callable[[Tensor, Tensor], Tensor]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--size", default="360x480")
    parser.add_argument("--classes", type=int, default=19)
    parser.add_argument("--batch", type=int, default=2)
    arguments = parser.parse_args()
    height, width = (int(side) for side in arguments.size.split("x"))
    torch.manual_seed(0)
    keep_freed_memory()
    target = torch.randint(0, arguments.classes, (arguments.batch, height // 24, width // 24))
    target = target.repeat_interleave(24, 1).repeat_interleave(24, 2)
    truth = F.one_hot(target, arguments.classes).movedim(-1, 1)
    logits = torch.randn(truth.shape) + 3 * truth
    target[torch.rand(target.shape) < 0.15] = 255
    losses = every_loss(arguments.classes, torch.randn(truth.shape) + 4 * truth)
    print(f"{'':26s} {'fp32':>6s} {'bf16':>6s} {'memory':>7s}")
    for name, loss in losses.items():
        ratios = [ratio(loss, losses["torch"], logits.to(t), target) for t in TYPES]
        memory = peak_bytes(loss, logits, target) / (4 * logits.numel())
        print(f"{name:26s} {ratios[0]:6.2f} {ratios[1]:6.2f} {memory:7.2f}")


TYPES = (torch.float32, torch.bfloat16)


def every_loss(num_classes: int, teacher: Tensor) -> dict[str, Loss]:
    weights = torch.linspace(0.5, 2.0, num_classes)
    from segmentation_models_pytorch.losses import DiceLoss, LovaszLoss

    return {
        "torch": lambda x, t: F.cross_entropy(x.float(), t, ignore_index=255),
        "torch, weighted, smoothed": lambda x, t: F.cross_entropy(
            x.float(), t, ignore_index=255, weight=weights, label_smoothing=0.1
        ),
        "torch, OHEM": torch_ohem,
        "smp, dice": lambda x, t: DiceLoss("multiclass", ignore_index=255)(x.float(), t),
        "smp, lovasz": lambda x, t: LovaszLoss("multiclass", ignore_index=255)(x.float(), t),
        "cross_entropy": cross_entropy,
        "weighted": lambda x, t: cross_entropy(x, t, class_weights=weights),
        "weighted, smoothed": lambda x, t: cross_entropy(
            x, t, class_weights=weights, label_smoothing=0.1
        ),
        "ohem": lambda x, t: ohem_cross_entropy(x, t, min_kept=t.numel() // 16),
        "bootstrapped": bootstrapped_cross_entropy,
        "focal": focal_loss,
        "dice": dice_loss,
        "lovasz": lovasz_softmax,
        "boundary": boundary_loss,
        "distillation": lambda x, t: distillation_loss(x, teacher, t),
    }


def torch_ohem(logits: Tensor, target: Tensor) -> Tensor:
    """The usual form: losses of all pixels, sorted."""
    losses = F.cross_entropy(logits.float(), target, ignore_index=255, reduction="none")
    ranked = losses[target != 255].sort(descending=True).values
    kept = max(target.numel() // 16, int((ranked > 0.357).sum()))
    return ranked[:kept].mean()


def ratio(loss: Loss, base: Loss, logits: Tensor, target: Tensor) -> float:
    """Best time by that of `base`, taken in turns."""
    times: tuple[list[float], list[float]] = ([], [])
    for _ in range(REPEATS):
        for kept, function in zip(times, (loss, base), strict=True):
            leaf = logits.clone().requires_grad_()
            start = time.perf_counter()
            function(leaf, target).backward()
            kept.append(time.perf_counter() - start)
    return min(times[0]) / min(times[1])


def peak_bytes(loss: Loss, logits: Tensor, target: Tensor) -> int:
    """The largest sum of what is allocated and not yet freed."""
    leaf = logits.clone().requires_grad_()
    with profile(activities=[ProfilerActivity.CPU], profile_memory=True) as measured:
        loss(leaf, target).backward()
    held = peak = 0
    for event in measured.profiler.kineto_results.events():  # type: ignore[union-attr]
        if event.name() == "[memory]":
            held += event.nbytes()
            peak = max(peak, held)
    return peak


if __name__ == "__main__":
    main()
