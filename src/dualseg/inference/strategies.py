"""Ways to get logits for whole images. A strategy is a function of images and can wrap another."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal, Protocol, runtime_checkable

import torch
from torch import Tensor, nn

from dualseg.core.errors import InputError
from dualseg.core.facts import ModelFacts
from dualseg.core.geometry import Size, normalize_images, resize_logits, shrink_images

LogitsFunction = Callable[[Tensor], Tensor]
"""uint8 images (B, 3, H, W) RGB -> float32 logits (B, K, H, W), on the device of the network."""

Precision = Literal["fp32", "bf16"]


@runtime_checkable
class PreparesImages(Protocol):
    """A network with its preparation of images inside: an exported file."""

    @property
    def own_precision(self) -> str:
        """In which it computes."""
        ...

    @property
    def fixed_size(self) -> Size | None:
        """(height, width) of the only images it takes; None where it takes any."""
        ...

    def raw_logits(self, images: Tensor) -> Tensor:
        """uint8 images, or float in 0..255 -> float32 logits (B, K, h, w) of any size."""
        ...


def whole(model: nn.Module, facts: ModelFacts, *, precision: Precision = "fp32") -> "Whole":
    """The plain strategy: the whole image at once.

    Images are normalised, shrunk by `facts.input_scale` and given to the network; its logits are
    resized to the images' own size. The network runs where it is and in the mode it is in. A
    network that prepares images itself (`PreparesImages`) is given them as they are.

    Args:
        model: Returns a `SegmentationOutput`; in evaluation mode unless you want dropout.
        facts: Mean, standard deviation and input scale.
        precision: "bf16" runs the network under autocast; resizing stays in fp32.

    Raises:
        InputError: Unknown precision, or one for a network that has its own.
    """
    if precision not in ("fp32", "bf16"):
        raise InputError(f"precision {precision!r} is unknown; allowed are fp32 and bf16")
    if precision != "fp32" and isinstance(model, PreparesImages):
        raise InputError(
            "an exported file computes in the precision it was exported in; leave the precision out"
        )
    return Whole(model, facts, precision)


@dataclass(frozen=True)
class Whole:
    """What `whole` returns: a logits function that can also stop before the last resize."""

    model: nn.Module
    facts: ModelFacts
    precision: Precision

    def __call__(self, images: Tensor) -> Tensor:
        """Logits at the images' size."""
        with torch.inference_mode():
            logits = self.small(images).float()
            return resize_logits(logits, (images.shape[-2], images.shape[-1]))

    def small(self, images: Tensor) -> Tensor:
        """Logits at the size the network answers, for `label_map_of`."""
        if isinstance(self.model, PreparesImages):
            return self.model.raw_logits(images)
        device = device_of(self.model)
        with torch.inference_mode():
            inputs = normalize_images(images.to(device), self.facts.mean, self.facts.std)
            inputs = shrink_images(inputs, self.facts.input_scale)
            inputs = inputs.contiguous(memory_format=torch.channels_last)
            with torch.autocast(device.type, torch.bfloat16, enabled=self.precision == "bf16"):
                output = self.model(inputs)
            return output.logits.float()


def unresized(logits: LogitsFunction, images: Tensor) -> Tensor:
    """Logits for `label_map_of`, which enlarges them itself: as small as the function has them."""
    small: LogitsFunction = getattr(logits, "small", logits)
    return small(images)


def device_of(model: nn.Module) -> torch.device:
    """Where the network's first parameter is; the CPU for one without parameters."""
    return next((parameter.device for parameter in model.parameters()), torch.device("cpu"))


def find_facts(model: nn.Module, facts: ModelFacts | None) -> ModelFacts:
    """The facts given, or those the network carries.

    Raises:
        InputError: There are none.
    """
    found = facts or getattr(model, "facts", None)
    if found is None:
        raise InputError(
            "the network does not say how its input is prepared: give facts=ModelFacts(...), or "
            "take a network "
            "from dualseg.load_model, which sets model.facts"
        )
    return found
