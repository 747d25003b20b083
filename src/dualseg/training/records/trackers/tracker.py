"""What a tracker is, and how one is started."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from types import ModuleType
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from dualseg.core.errors import InputError


class Tracker(Protocol):
    """Somewhere that keeps numbers and pictures of a run. Any method may raise anything.

    Names are `SPLIT/NAME`; steps are optimiser steps. The same step may come again after a resume,
    with the same values.
    """

    def numbers(self, values: Mapping[str, float], step: int) -> None:
        """Points of curves."""

    def picture(self, name: str, picture: NDArray[np.uint8], step: int) -> None:
        """One (H, W, 3) RGB picture."""

    def histogram(self, name: str, values: NDArray[np.float32], step: int) -> None:
        """How these numbers, a flat array, are distributed."""

    def close(self) -> None:
        """Nothing more comes; what is buffered must be kept."""


@dataclass(frozen=True)
class TrackedRun:
    """What a tracker is told about the run.

    Args:
        folder: The run folder.
        first_step: The first step that is still to come; points from here on are superseded.
        project: The runs it belongs to.
        name: Its own name.
        recipe: Every key, resolved.
    """

    folder: Path
    first_step: int
    project: str
    name: str
    recipe: Mapping[str, Any]


def missing(tracker: str, error: ImportError) -> InputError:
    """The message for an extra that is not installed, or that is broken."""
    return InputError(
        f"tracker {tracker} cannot be imported ({error}): pip install 'dualseg[{tracker}]', or "
        "leave it out of tracking.trackers"
    )


def flat(nested: Mapping[str, Any], prefix: str = "") -> dict[str, Any]:
    """Dotted keys -> plain values."""
    pairs: dict[str, Any] = {}
    for key, value in nested.items():
        if isinstance(value, Mapping):
            pairs |= flat(value, f"{prefix}{key}.")
        else:
            pairs[f"{prefix}{key}"] = value
    return pairs


Module = ModuleType | Any
"""An optional package, whose types are not known where it is not installed."""
