"""Options that say how images are given to a network, and what they mean."""

from enum import Enum
from typing import TYPE_CHECKING, Annotated

import typer

from dualseg.cli.options import read_size
from dualseg.core.errors import InputError

if TYPE_CHECKING:
    from dualseg.inference.protocol import Protocol


class ProtocolChoice(str, Enum):
    """How images are given to the network."""

    whole = "whole"
    slide = "slide"
    crop = "crop"


class AverageChoice(str, Enum):
    """What is averaged where windows overlap."""

    softmax = "softmax"
    logits = "logits"


class FusionChoice(str, Enum):
    """How the answers at several scales become one."""

    mean = "mean"
    max = "max"


ProtocolOption = Annotated[
    ProtocolChoice,
    typer.Option(
        "--protocol",
        help="whole: whole images at native size, the number to report. slide: windows that "
        "overlap. crop: resized centre crops, only to compare with old tables.",
    ),
]
Window = Annotated[
    str | None,
    typer.Option(
        "--window", metavar="HxW", help="Of slide and crop; the training crop where not given."
    ),
]
Stride = Annotated[
    str | None,
    typer.Option("--stride", metavar="HxW", help="Of slide; two thirds of the window."),
]
AverageOption = Annotated[
    AverageChoice, typer.Option("--average", help="Of overlapping windows: softmax or logits.")
]
Scales = Annotated[
    str | None,
    typer.Option("--scales", metavar="A,B,...", help="Ask at several sizes, such as 0.75,1,1.25."),
]
Flip = Annotated[bool, typer.Option("--flip", help="Ask about the mirror image too.")]
FusionOption = Annotated[
    FusionChoice,
    typer.Option(
        "--fusion", help="Of scales: mean of probabilities, or max of scores (DeepLab v2)."
    ),
]
OutputStride = Annotated[
    int | None,
    typer.Option(
        "--output-stride", help="Ask the same weights at 8, 16 or 32; as trained where not given."
    ),
]
Crf = Annotated[
    bool, typer.Option("--crf", help="Refine the answer with a fully connected CRF (CPU).")
]
CrfSet = Annotated[
    list[str] | None,
    typer.Option(
        "--crf-set",
        metavar="NAME=NUMBER",
        help="Change a setting of the CRF, for example bi_rgb_std=5; may be repeated.",
    ),
]


def read_protocol(
    *,
    name: ProtocolChoice,
    window: str | None,
    stride: str | None,
    average: AverageChoice,
    scales: str | None,
    flip: bool,
    fusion: FusionChoice,
    output_stride: int | None,
    crf: bool,
    crf_set: list[str] | None,
) -> "Protocol":
    """The protocol the options ask for.

    Raises:
        InputError: A value cannot be read, or options do not go together.
    """
    from dualseg.inference.crf.settings import CrfSettings
    from dualseg.inference.protocol import Protocol

    if crf_set and not crf:
        raise InputError("--crf-set changes the CRF, which is off; give --crf too")
    return Protocol(
        name=name.value,
        window=read_size("--window", window),
        stride=read_size("--stride", stride),
        average=average.value,
        scales=_read_scales(scales),
        flip=flip,
        fusion=fusion.value,
        output_stride=output_stride,
        crf=CrfSettings().changed(crf_set or []) if crf else None,
    )


def _read_scales(text: str | None) -> tuple[float, ...]:
    if text is None:
        return (1.0,)
    try:
        return tuple(float(part) for part in text.split(","))
    except ValueError:
        raise InputError(
            f"--scales {text!r} are no numbers; give them with commas, such as 0.75,1,1.25"
        ) from None
