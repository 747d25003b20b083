"""One optimiser step: batch to device, losses, gradients, checks, update."""

import hashlib
import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass

import torch
from torch import Tensor, nn
from torch.optim import Optimizer

from dualseg.config import DataSettings, TrainingSettings
from dualseg.core.errors import InputError
from dualseg.core.geometry import normalize_images, shrink_images, shrink_label_maps
from dualseg.core.labels import IGNORE_INDEX
from dualseg.core.outputs import SegmentationOutput
from dualseg.data.loaders import RawBatch
from dualseg.training.objective import TrainingBatch
from dualseg.training.optimizers import set_lr

Objective = Callable[[SegmentationOutput, TrainingBatch, int], Mapping[str, Tensor]]


class NonFiniteLossError(InputError):
    """A loss or gradient is NaN or infinite. The weights are as they were before the step."""


@dataclass(frozen=True)
class StepResult:
    """What one step measured: each weighted loss term and `loss`, their sum."""

    losses: dict[str, float]
    lr: float
    grad_norm: float


class TrainingStep:
    """Turns a batch as it comes from the loader into one update of the weights.

    The whole batch makes one update. `accumulate_steps` cuts it into equal parts that pass the
    network one after another; each part's losses are weighted so that the gradients add up to those
    of the whole.

    Args:
        model: Network in training mode, on `device`.
        objective: Gives the weighted loss terms.
        optimizer: From `create_optimizer`.
        lr_factor: Step, counted from 0 -> factor on the base learning rates.
        data: How the network's input and target come from the crop.
        training: Precision, accumulation, clipping.
        device: Where to compute.
        seed: With step and rank it decides every random draw inside the network.
        rank: Number of this process.
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
        rank: int = 0,
    ):
        self.model = model
        self.objective = objective
        self.optimizer = optimizer
        self.lr_factor = lr_factor
        self.data = data
        self.training = training
        self.device = device
        self.seed = seed
        self.rank = rank

    def __call__(self, raw: RawBatch, step: int) -> StepResult:
        """Makes step number `step`, counted from 0.

        Raises:
            NonFiniteLossError: Before the optimiser touches the weights.
        """
        torch.manual_seed(step_seed(self.seed, step, self.rank))
        lr = set_lr(self.optimizer, self.lr_factor(step))
        self.optimizer.zero_grad(set_to_none=True)
        terms: dict[str, Tensor] = {}
        for part in self._parts(raw):
            for name, value in self._backward(part, step).items():
                terms[name] = terms[name] + value if name in terms else value
        gradients = [p.grad for p in self.model.parameters() if p.grad is not None]
        grad_norm = torch.nn.utils.get_total_norm(gradients)
        result = self._finite_result(terms, grad_norm, lr, raw, step)
        if self.training.clip_grad_norm is not None:
            trainable = [p for p in self.model.parameters() if p.grad is not None]
            limit = self.training.clip_grad_norm
            torch.nn.utils.clip_grads_with_norm_(trainable, limit, grad_norm)
        self.optimizer.step()
        return result

    def _parts(self, raw: RawBatch) -> list[TrainingBatch]:
        whole = prepare_batch(raw, self.data, self.device)
        count = self.training.accumulate_steps
        if count == 1:
            return [whole]
        return split_batch(whole, count)

    def _backward(self, batch: TrainingBatch, step: int) -> dict[str, Tensor]:
        image = batch.image
        if self.training.channels_last:
            image = image.contiguous(memory_format=torch.channels_last)
        with torch.autocast(
            self.device.type, torch.bfloat16, enabled=self.training.precision == "bf16"
        ):
            output = self.model(image)
        terms = dict(self.objective(output, batch, step))
        torch.stack(list(terms.values())).sum().backward()
        return {name: value.detach() for name, value in terms.items()}

    def _finite_result(
        self, terms: Mapping[str, Tensor], grad_norm: Tensor, lr: float, raw: RawBatch, step: int
    ) -> StepResult:
        numbers = torch.stack([*terms.values(), grad_norm]).double().tolist()
        losses = dict(zip(terms, numbers, strict=False))
        if not all(math.isfinite(number) for number in numbers):
            shown = [f"{name} = {value:.6g}" for name, value in losses.items()]
            raise NonFiniteLossError(
                f"step {step + 1}: loss or gradient is not finite; the weights were left as they "
                "were. Look at these images, lower training.lr, or set training.clip_grad_norm:",
                [
                    *shown,
                    f"gradient norm = {numbers[-1]:.6g}",
                    f"lr = {lr:.6g}",
                    f"images: {', '.join(raw.names)}",
                ],
            )
        return StepResult({"loss": sum(losses.values()), **losses}, lr, numbers[-1])


def prepare_batch(raw: RawBatch, data: DataSettings, device: torch.device) -> TrainingBatch:
    """uint8 crops -> normalised images at both sizes and an int64 target, on the device."""
    image_hr = normalize_images(raw.image.to(device, non_blocking=True), data.mean, data.std)
    image = shrink_images(image_hr, data.input_scale)
    target = raw.label_map.to(device, non_blocking=True)
    if data.label_size == "input":
        target = shrink_label_maps(target, (image.shape[-2], image.shape[-1]))
    return TrainingBatch(image, image_hr, target.long(), raw.names)


def split_batch(whole: TrainingBatch, count: int) -> list[TrainingBatch]:
    """Equal parts of a batch, each with the whole's valid pixels and its own share of images."""
    num_valid = int((whole.target != IGNORE_INDEX).sum())
    size = len(whole.image) // count
    return [
        TrainingBatch(
            whole.image[start : start + size],
            whole.image_hr[start : start + size],
            whole.target[start : start + size],
            whole.names[start : start + size],
            num_valid=num_valid,
            share=1.0 / count,
        )
        for start in range(0, size * count, size)
    ]


def step_seed(seed: int, step: int, rank: int) -> int:
    """63 bits that depend on all three; neighbouring steps share nothing."""
    digest = hashlib.blake2b(f"{seed}/{step}/{rank}".encode(), digest_size=8).digest()
    return int.from_bytes(digest, "big") >> 1
