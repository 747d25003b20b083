"""What a run needs, beside the network's weights, to go on as if it had never stopped."""

from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from torch import Tensor

from dualseg.checkpoints.json_files import pack_json, read_json
from dualseg.checkpoints.tensors import pack_tensors, read_tensors
from dualseg.core.errors import InputError

FORMAT = "dualseg-training/1"
TENSORS_FILE = "training_state.safetensors"
NUMBERS_FILE = "training_state.json"


@dataclass
class Position:
    """Where a run stands. The data's position and every random draw follow from `step`.

    Attributes:
        step: Optimiser steps done.
        max_steps: Steps the run was last planned for.
        evaluated_step: Step of the last evaluation; None before the first.
        evaluation: That evaluation, as `evaluate --json` shows it.
        best_step: Step with the highest mIoU so far.
        best_miou: That mIoU, 0 to 1.
        summed_steps: Steps since the last line of the history.
        summed_losses: Sum of each loss term over them.
    """

    step: int = 0
    max_steps: int = 0
    evaluated_step: int | None = None
    evaluation: dict[str, Any] | None = None
    best_step: int | None = None
    best_miou: float | None = None
    summed_steps: int = 0
    summed_losses: dict[str, float] = field(default_factory=dict)

    @property
    def is_finished(self) -> bool:
        """Every planned step is done, and the last one is scored."""
        return 0 < self.max_steps <= self.step == self.evaluated_step


@dataclass(frozen=True)
class TrainingState:
    """The content of `training_state.safetensors` and `training_state.json`.

    Args:
        position: Counters and scores.
        recipe: The resolved recipe, nested plain values.
        environment: Threads, device, precision and versions the steps were made with.
        tensors: Optimiser state by `optimizer/KEY/PARAMETER`; and `weights/NAME` where the weights
            the checkpoint shows are an average of them.
    """

    position: Position
    recipe: Mapping[str, Any]
    environment: Mapping[str, Any]
    tensors: Mapping[str, Tensor]

    def pack(self) -> dict[str, bytes]:
        """File name -> content."""
        numbers = {
            "format": FORMAT,
            "position": asdict(self.position),
            "environment": dict(self.environment),
            "recipe": dict(self.recipe),
        }
        return {TENSORS_FILE: pack_tensors(self.tensors), NUMBERS_FILE: pack_json(numbers)}


def read_training_state(folder: Path) -> TrainingState:
    """The state in a checkpoint folder.

    Raises:
        InputError: A file is missing or damaged, or it was written by another version.
    """
    path = folder / NUMBERS_FILE
    numbers = read_json(path)
    if numbers.get("format") != FORMAT:
        raise InputError(
            f"{path} has format {numbers.get('format')!r}; this version of dualseg reads {FORMAT!r}"
        )
    try:
        return TrainingState(
            position=Position(**numbers["position"]),
            recipe=dict(numbers["recipe"]),
            environment=dict(numbers["environment"]),
            tensors=read_tensors(folder / TENSORS_FILE),
        )
    except (KeyError, TypeError) as error:
        raise InputError(f"{path} is no whole training state: {error}") from None
