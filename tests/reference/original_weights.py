"""Random weights of the golden files made with the original authors' code.

Plain random weights double what passes through every residual block. After a hundred layers an
attention's softmax then holds ones and zeros alone, and a wrong scale inside it would not show.
Here every residual branch ends in a small batch norm, so that features stay near one.
"""

import re
from collections.abc import Mapping, Sequence

from torch import Tensor

from reference.random_weights import random_tensors

BRANCH_SCALE = 0.2
# Tensors that a network stores under two names: loading leaves the second one's value in both.
TWINS = (
    (r"\.f_key\.", ".f_query."),
    (r"^backbone\.features\.", "backbone.low_level_features."),
    (r"^backbone\.features\.", "backbone.high_level_features."),
)
LAST_NORM = re.compile(r"(^|\.)(bn3|increase\.bn)\.weight")


def original_tensors(
    shapes: Mapping[str, Sequence[int]], *, negative_scales: bool = False
) -> dict[str, Tensor]:
    """One tensor for each name of a state dict.

    Args:
        shapes: Shape of each tensor by its name.
        negative_scales: Whether every third scale of each batch norm is negative, for networks of
            in-place activated batch norms, which apply its absolute value.
    """
    tensors = random_tensors(shapes)
    for name, tensor in tensors.items():
        norm, _, last = name.rpartition(".")
        if LAST_NORM.search(name):
            tensor *= BRANCH_SCALE
        if negative_scales and last == "weight" and f"{norm}.running_mean" in tensors:
            tensor[::3] *= -1
    for pattern, twin in TWINS:
        for name in tensors:
            tensors[name] = tensors.get(re.sub(pattern, twin, name), tensors[name])
    return tensors
