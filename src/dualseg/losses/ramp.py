"""How the weight of a loss grows at the beginning of a training."""

import math
from typing import Literal

RampKind = Literal["linear", "cosine", "step", "constant"]


def ramp(step: int, *, steps: int, kind: RampKind = "linear") -> float:
    """Factor 0..1 on a loss at `step`, counted from 0; 1 from step `steps` on.

    Args:
        step: Optimiser steps done.
        steps: Length; 0 for none.
        kind: "linear" and "cosine" grow in that form and reach 1 in the last of the steps; "step"
            is 0 until then; "constant" is 1 throughout.
    """
    if kind == "constant" or step >= steps:
        return 1.0
    if kind == "step":
        return 0.0
    done = min(1.0, (step + 1) / steps)
    return done if kind == "linear" else (1.0 - math.cos(math.pi * done)) / 2.0
