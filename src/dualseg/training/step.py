"""One optimiser step: batch to device, losses, gradients, checks, update."""

import hashlib
import math
from collections.abc import Callable, Mapping
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass, replace

import torch
from torch import Tensor, nn
from torch.amp.grad_scaler import GradScaler
from torch.nn.parallel import DistributedDataParallel
from torch.optim import Optimizer

from dualseg.config import DataSettings, TrainingSettings
from dualseg.core.errors import InputError
from dualseg.core.geometry import (
    normalize_images,
    shrink_by_majority,
    shrink_images,
    shrink_label_maps,
)
from dualseg.core.labels import IGNORE_INDEX
from dualseg.core.outputs import SegmentationOutput
from dualseg.core.processes import ALONE, Processes
from dualseg.data.loading.loaders import RawBatch
from dualseg.training.depthwise import FastDepthwise
from dualseg.training.objectives.batch import TrainingBatch
from dualseg.training.optimization.optimizers import set_lr

Objective = Callable[[SegmentationOutput, TrainingBatch, int], Mapping[str, Tensor]]


AUTOCAST = {"bf16": torch.bfloat16, "fp16": torch.float16}


class NonFiniteLossError(InputError):
    """A loss or gradient is NaN or infinite. The weights are as they were before the step."""


@dataclass(frozen=True)
class StepResult:
    """What one step measured.

    Args:
        losses: Each weighted loss term and `loss`, their sum, over all processes.
        lr: Learning rate of the first group.
        grad_norm: Length of the gradient before it was cut.
        skipped: Why the weights were left as they were; None where they were changed.
    """

    losses: dict[str, float]
    lr: float
    grad_norm: float
    skipped: str | None = None


class TrainingStep:
    """Turns a batch as it comes from the loader into one update of the weights.

    The whole batch makes one update, however many processes share it. `accumulate_steps` cuts each
    process's share into equal parts that pass the network one after another. The losses of a part
    are divided by the valid pixels of the whole batch, so gradients add up to those of the whole:
    they are summed, not averaged.

    Args:
        model: Network in training mode, on `device`.
        objective: Gives the weighted loss terms.
        optimizer: From `create_optimizer`.
        lr_factor: Step, counted from 0 -> factor on the base learning rates.
        data: How the network's input and target come from the crop.
        training: Precision, accumulation, clipping, what to do about NaN.
        device: Where to compute.
        seed: With step and rank it decides every random draw inside the network.
        processes: Who shares the batch.
        network: What is called in place of `model`: `model` compiled, or `share_gradients(model)`.
    """

    def __init__(
        self,
        model: nn.Module,
        objective: Objective,
        optimizer: Optimizer,
        *,
        lr_factor: Callable[[int], float],
        data: DataSettings,
        training: TrainingSettings,
        device: torch.device,
        seed: int,
        processes: Processes = ALONE,
        network: Callable[[Tensor], SegmentationOutput] | None = None,
    ):
        self.model = model
        self.network = network or model
        self.objective = objective
        self.optimizer = optimizer
        self.lr_factor = lr_factor
        self.data = data
        self.training = training
        self.device = device
        self.seed = seed
        self.processes = processes
        is_half = training.precision == "fp16"
        self.scaler = GradScaler(device.type) if is_half else None

    def __call__(self, raw: RawBatch, step: int) -> StepResult:
        """Makes step number `step`, counted from 0, of this process's share of a batch.

        Raises:
            NonFiniteLossError: In every process, before any optimiser touches the weights.
        """
        torch.manual_seed(step_seed(self.seed, step, self.processes.rank))
        lr = set_lr(self.optimizer, self.lr_factor(step))
        skips = self.training.on_nan == "skip"
        before = [buffer.clone() for buffer in self.model.buffers()] if skips else []
        terms = self._gradients(raw, step)
        grad_norm = self._grad_norm()
        losses, problem = self._check(terms, grad_norm, lr, raw, step)
        if problem is not None and not skips:
            raise problem
        if problem is not None:
            if self.scaler is not None:  # it unscales once between two updates
                self.scaler.update()
            for buffer, value in zip(self.model.buffers(), before, strict=True):
                buffer.copy_(value)
            return StepResult(losses, lr, float(grad_norm), skipped=str(problem))
        self._clip(grad_norm)
        self._update(grad_norm)
        self.processes.copy_buffers(self.model)
        return StepResult(losses, lr, float(grad_norm))

    def _gradients(self, raw: RawBatch, step: int) -> dict[str, Tensor]:
        """Fills every `.grad` with that of the whole batch; this process's sum of each term."""
        self.optimizer.zero_grad(set_to_none=True)
        terms: dict[str, Tensor] = {}
        parts = self._parts(raw)
        for number, part in enumerate(parts, start=1):
            with self._shares_nothing_yet() if number < len(parts) else nullcontext():
                for name, value in self._backward(part, step).items():
                    terms[name] = terms[name] + value if name in terms else value
        return terms

    def _shares_nothing_yet(self) -> AbstractContextManager[object]:
        """Gradients go to the other processes once a step, with the last part."""
        if isinstance(self.network, DistributedDataParallel):
            return self.network.no_sync()
        return nullcontext()

    def _fast_depthwise(self) -> AbstractContextManager[object]:
        """Not where the network is compiled, which has kernels of its own, or computed again."""
        training = self.training
        is_plain = not training.compile and not training.checkpoint_activations
        is_bf16 = self.device.type == "cpu" and training.precision == "bf16"
        return FastDepthwise() if is_bf16 and is_plain else nullcontext()

    def _parts(self, raw: RawBatch) -> list[TrainingBatch]:
        whole = prepare_batch(raw, self.data, self.device)
        count = self.training.accumulate_steps
        if count == 1 and not self.processes.are_many:
            return [whole]
        return split_batch(whole, count, self.processes)

    def _backward(self, batch: TrainingBatch, step: int) -> dict[str, Tensor]:
        image = batch.image
        if self.training.channels_last:
            image = image.contiguous(memory_format=torch.channels_last)
        dtype = AUTOCAST.get(self.training.precision)
        autocast = torch.autocast(self.device.type, dtype, enabled=dtype is not None)
        with autocast, self._fast_depthwise():
            output = self.network(image)
        terms = dict(self.objective(output, batch, step))
        total = torch.stack(list(terms.values())).sum()
        (total if self.scaler is None else self.scaler.scale(total)).backward()
        return {name: value.detach() for name, value in terms.items()}

    def _grad_norm(self) -> Tensor:
        if self.scaler is not None:
            self.scaler.unscale_(self.optimizer)
        gradients = [p.grad for p in self.model.parameters() if p.grad is not None]
        return torch.nn.utils.get_total_norm(gradients)

    def _clip(self, grad_norm: Tensor) -> None:
        trainable = [p for p in self.model.parameters() if p.grad is not None]
        if self.training.clip_grad_norm is not None:
            limit = self.training.clip_grad_norm
            torch.nn.utils.clip_grads_with_norm_(trainable, limit, grad_norm)
        if self.training.clip_grad_value is not None:
            torch.nn.utils.clip_grad_value_(trainable, self.training.clip_grad_value)

    def _update(self, grad_norm: Tensor) -> None:
        if self.scaler is None:
            self.optimizer.step()
            return
        # A gradient too large for fp16 leaves the weights and halves the scale. The optimiser is
        # not even called: torch's fused SGD would keep uninitialised memory as first momentum.
        if grad_norm.isfinite():
            self.scaler.step(self.optimizer)
        self.scaler.update()

    def _check(
        self, terms: Mapping[str, Tensor], grad_norm: Tensor, lr: float, raw: RawBatch, step: int
    ) -> tuple[dict[str, float], NonFiniteLossError | None]:
        """The terms over all processes; the same verdict in each."""
        *values, norm = torch.stack([*terms.values(), grad_norm]).tolist()
        values = self.processes.total(torch.tensor(values, dtype=torch.float64)).tolist()
        named = dict(zip(terms, values, strict=True))
        losses = {"loss": sum(values), **named}
        judged = values if self.scaler is not None else [*values, norm]
        if all(math.isfinite(number) for number in judged):
            return losses, None
        names = [name for names in self.processes.gather(raw.names) for name in names]
        what_happens = "it is skipped" if self.training.on_nan == "skip" else "the run stops"
        return losses, NonFiniteLossError(
            f"step {step + 1}: loss or gradient is not finite; {what_happens}, and the weights "
            "were left as they were. Look at these images, lower training.lr, or set "
            "training.clip_grad_norm:",
            [
                *(f"{name} = {value:.6g}" for name, value in named.items()),
                f"gradient norm = {norm:.6g}",
                f"lr = {lr:.6g}",
                f"images: {', '.join(names)}",
            ],
        )


def prepare_batch(raw: RawBatch, data: DataSettings, device: torch.device) -> TrainingBatch:
    """uint8 crops -> normalised images at both sizes and an int64 target, on the device."""
    image_hr = normalize_images(raw.image.to(device, non_blocking=True), data.mean, data.std)
    image = shrink_images(image_hr, data.input_scale)
    target = raw.label_map.to(device, non_blocking=True)
    if data.label_size == "input":
        size = (image.shape[-2], image.shape[-1])
        if data.label_shrink == "majority":
            target = shrink_by_majority(target.long(), size, IGNORE_INDEX)
        else:
            target = shrink_label_maps(target, size)
    return TrainingBatch(image, image_hr, target.long(), raw.names)


def split_batch(
    whole: TrainingBatch, count: int, processes: Processes = ALONE
) -> list[TrainingBatch]:
    """Equal parts of a process's share, each with the valid pixels of the whole batch and its own
    share of the whole batch's images."""
    num_valid = int(processes.total((whole.target != IGNORE_INDEX).sum()))
    size = len(whole.image) // count
    return [
        replace(
            whole,
            image=whole.image[start : start + size],
            image_hr=whole.image_hr[start : start + size],
            target=whole.target[start : start + size],
            names=whole.names[start : start + size],
            num_valid=num_valid,
            share=1.0 / (count * processes.world),
        )
        for start in range(0, size * count, size)
    ]


def step_seed(seed: int, step: int, rank: int) -> int:
    """63 bits that depend on all three; neighbouring steps share nothing."""
    digest = hashlib.blake2b(f"{seed}/{step}/{rank}".encode(), digest_size=8).digest()
    return int.from_bytes(digest, "big") >> 1
