"""Which arguments of `create_model` go together."""

from collections.abc import Sequence
from typing import get_args

from dualseg.core.errors import InputError
from dualseg.models.backbones.dilation import FirstBlock
from dualseg.models.entries import ENTRIES
from dualseg.models.layers import Activation

NECKS = ("jpu", "pyramid")
# The strides a head reads, for backbones that have one only.
PYRAMID_STRIDES = {
    "deeplabv3plus": (4, 16),
    "lraspp": (8, 16),
    "densenet_fusion": (4, 8, 16, 32),
}


def check_combination(
    name: str,
    num_classes: int,
    in_channels: int,
    output_stride: int,
    first_block: str,
    neck: str | None,
    atrous_rates: Sequence[int] | None,
    multi_grid: Sequence[int] | None,
    auxiliary_channels: int | None,
    auxiliary_activation: str,
) -> None:
    """Refuses what no network of the catalogue can be; arguments are those of `create_model`.

    Raises:
        InputError: Says which argument, and what is allowed.
    """
    if type(num_classes) is not int or num_classes < 1:
        raise InputError(f"num_classes is {num_classes!r}; at least 1 class is needed")
    if type(in_channels) is not int or in_channels < 1:
        raise InputError(f"in_channels is {in_channels!r}; an image has at least 1 band")
    if output_stride not in (8, 16, 32):
        raise InputError(f"output_stride {output_stride} is not possible; use 8, 16 or 32")
    if first_block not in get_args(FirstBlock):
        raise InputError(
            f"first_block {first_block!r} is unknown; use {', '.join(get_args(FirstBlock))}"
        )
    for option, numbers in (("atrous_rates", atrous_rates), ("multi_grid", multi_grid)):
        if numbers is not None and not len(numbers):
            raise InputError(f"{option} is an empty list; give numbers from 1 up, or leave it out")
    if auxiliary_channels is not None and (
        type(auxiliary_channels) is not int or auxiliary_channels < 1
    ):
        raise InputError(f"auxiliary_channels is {auxiliary_channels!r}; at least 1 is needed")
    if auxiliary_activation not in get_args(Activation):
        raise InputError(
            f"auxiliary_activation {auxiliary_activation!r} is unknown; use "
            f"{', '.join(get_args(Activation))}"
        )
    if neck is not None and neck not in NECKS:
        raise InputError(f"there is no neck {neck!r}; allowed: {', '.join(NECKS)}, or leave it out")
    if neck == "jpu" and output_stride != 32:
        raise InputError(
            f"neck jpu brings a backbone of output_stride 32 to stride 8, but output_stride is "
            f"{output_stride}; use 32"
        )
    if neck is not None and name in ("bisenet", "deeplabv2"):
        raise InputError(f"{name} has paths of its own and takes no neck; leave neck out")
    if neck == "pyramid" and name not in PYRAMID_STRIDES:
        raise InputError(
            f"{name} reads the deepest feature alone and needs no pyramid; leave neck out "
            f"({', '.join(PYRAMID_STRIDES)} need several strides)"
        )
    if atrous_rates is not None and not ENTRIES[name].has_rates:
        with_rates = ", ".join(n for n, entry in ENTRIES.items() if entry.has_rates)
        raise InputError(f"{name} has no atrous_rates; leave them out or use one of {with_rates}")
