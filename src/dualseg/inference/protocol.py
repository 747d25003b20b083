"""How an image is given to a network: the settings that belong beside every score."""

from dataclasses import dataclass
from typing import Any, Literal, get_args

from torch import nn

from dualseg.core.errors import InputError, nearest
from dualseg.core.facts import ModelFacts
from dualseg.core.geometry import Size
from dualseg.inference.averages import Average, require_average
from dualseg.inference.crf.settings import CrfSettings
from dualseg.inference.crf_step import refined
from dualseg.inference.flip import flipped
from dualseg.inference.multi_scale import Fusion, multi_scale, require_fusion, require_scales
from dualseg.inference.slide import require_window, slide
from dualseg.inference.strategies import LogitsFunction, Precision, whole

ProtocolName = Literal["whole", "slide", "crop"]


@dataclass(frozen=True)
class Protocol:
    """One way to get an answer for an image; the default is the one checkpoints are chosen by.

    Args:
        name: "whole": the image at once, at its native size. "slide": windows that overlap. "crop":
            resized to the window and cut to its middle, labels too; only to compare with old
            tables.
        window: (height, width) of windows, or of the crop; the training crop where not given.
        stride: From window to window; two thirds of the window where not given.
        average: Of overlapping windows: "softmax" or "logits".
        scales: The image is asked at each.
        flip: The mirrored image is asked too.
        fusion: Of scales: "mean" of probabilities, or "max" of raw scores as DeepLab v2.
        crf: Settings of a fully connected CRF that refines the answer with the image's colours;
            None: no CRF.
        output_stride: The network was built anew at this one; None: as it was trained.

    Raises:
        InputError: Settings that do not go together.
    """

    name: ProtocolName = "whole"
    window: Size | None = None
    stride: Size | None = None
    average: Average = "softmax"
    scales: tuple[float, ...] = (1.0,)
    flip: bool = False
    fusion: Fusion = "mean"
    crf: CrfSettings | None = None
    output_stride: int | None = None

    def __post_init__(self) -> None:
        if self.name not in get_args(ProtocolName):
            raise InputError(
                f"protocol {self.name!r} is unknown; {nearest(self.name, get_args(ProtocolName))}"
            )
        if self.window is not None and self.name == "whole":
            raise InputError("a window belongs to the protocols slide and crop; choose one of them")
        if self.stride is not None and self.name != "slide":
            raise InputError("a stride belongs to the protocol slide; choose it, or leave it out")
        require_average(self.average)
        if self.average != "softmax" and self.name != "slide":
            raise InputError(
                f"average {self.average} is of the overlapping windows of the protocol slide; "
                "choose it, or leave the average out"
            )
        require_scales(self.scales)
        require_fusion(self.fusion)
        if self.fusion != "mean" and len(self.scales) == 1 and not self.flip:
            raise InputError(
                f"fusion {self.fusion} has nothing to fuse at one scale without flip; "
                "give several scales, or leave the fusion out"
            )
        if self.window is not None:
            require_window(self.window, self.stride or (1, 1))

    def window_for(self, facts: ModelFacts) -> Size:
        """The window, or the size the network was trained on.

        Raises:
            InputError: Neither is known.
        """
        size = self.window or facts.training_size
        if size is None:
            raise InputError(
                f"the protocol {self.name} needs a window, and the network does not say what size "
                "it was trained on; give one, such as --window 360x480"
            )
        return size

    def stride_for(self, facts: ModelFacts) -> Size:
        """The stride, or two thirds of the window."""
        height, width = self.window_for(facts)
        return self.stride or (max(1, 2 * height // 3), max(1, 2 * width // 3))

    def to_dict(self, facts: ModelFacts, precision: str) -> dict[str, Any]:
        """What stands beside a score; settings that are not in use are left out."""
        plain: dict[str, Any] = {
            "name": self.name,
            "resolution": "native",
            "input_scale": facts.input_scale,
            "flip": self.flip,
            "scales": list(self.scales),
            "precision": precision,
        }
        if self.name == "slide":
            plain["window"] = list(self.window_for(facts))
            plain["stride"] = list(self.stride_for(facts))
            plain["average"] = self.average
        if self.name == "crop":
            height, width = self.window_for(facts)
            plain["resolution"] = f"short side resized, centre crop {height}x{width}"
            plain["crop_size"] = [height, width]
            plain["comparable"] = "only with old tables made this way"
        if len(self.scales) > 1 or self.fusion != "mean":
            plain["fusion"] = self.fusion
        if self.crf is not None:
            plain["crf"] = self.crf.to_dict()
        if self.output_stride is not None:
            plain["output_stride"] = self.output_stride
        return plain


def strategy(
    model: nn.Module, facts: ModelFacts, protocol: Protocol, *, precision: Precision = "fp32"
) -> LogitsFunction:
    """The logits function of a network under a protocol.

    The network is taken as it is: its output stride is changed before (`with_output_stride`), and
    the images of the protocol crop are cut before they come here (`center_crop`).
    """
    return with_protocol(whole(model, facts, precision=precision), facts, protocol)


def with_protocol(logits: LogitsFunction, facts: ModelFacts, protocol: Protocol) -> LogitsFunction:
    """Wraps the plain strategy, of a network or of an exported file.

    From the inside out: windows, mirror image, scales, CRF.
    """
    if protocol.name == "slide":
        window, stride = protocol.window_for(facts), protocol.stride_for(facts)
        require_window(window, stride)
        logits = slide(
            logits, window=window, stride=stride, mean=facts.mean, average=protocol.average
        )
    if protocol.flip:
        logits = flipped(logits, average="logits" if protocol.fusion == "max" else "softmax")
    if protocol.scales != (1.0,):
        logits = multi_scale(logits, protocol.scales, fusion=protocol.fusion)
    return logits if protocol.crf is None else refined(logits, protocol.crf)
