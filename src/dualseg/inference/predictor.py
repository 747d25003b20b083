"""Label maps for images at hand."""

from pathlib import Path
from typing import Any, TypeAlias

import numpy as np
import torch
from numpy.typing import NDArray
from PIL import Image
from torch import nn

from dualseg.checkpoints.model_files import load_model
from dualseg.core.errors import InputError
from dualseg.core.facts import ModelFacts
from dualseg.core.image_spec import ImageSpec, Pixels
from dualseg.data.pictures.bands import finished, pixels_of_picture, read_pixels
from dualseg.inference.label_maps import label_map_of
from dualseg.inference.strategies import (
    LogitsFunction,
    Precision,
    device_of,
    find_facts,
    unresized,
    whole,
)

ImageLike: TypeAlias = NDArray[Any] | Image.Image | str | Path


class Predictor:
    """Gives the label map of an image at the image's own size.

    ```python
    predictor = dualseg.Predictor("runs/x")
    label_map = predictor("street.jpg")  # (H, W) uint8 class ids
    ```

    Args:
        model: A network, which is put in evaluation mode, or what `load_model` takes.
        facts: How its input is prepared; the network's own facts where not given.
        device: Where the network is moved; None leaves it where it is.
        precision: "fp32", or "bf16" under autocast.

    Raises:
        InputError: There is no such model, or it has no facts.
    """

    def __init__(
        self,
        model: nn.Module | str | Path,
        *,
        facts: ModelFacts | None = None,
        device: str | torch.device | None = None,
        precision: Precision = "fp32",
    ):
        self.model = model if isinstance(model, nn.Module) else load_model(model)
        self.facts = find_facts(self.model, facts)
        self.model.eval()
        self.model.to(device or device_of(self.model))
        self.model.to(memory_format=torch.channels_last)  # type: ignore[call-overload]
        self.logits: LogitsFunction = whole(self.model, self.facts, precision=precision)

    def __call__(self, image: ImageLike) -> NDArray[np.uint8]:
        """Predicts one image.

        Args:
            image: (H, W, 3) uint8 RGB, a Pillow image of any mode with up to eight bits a channel,
                or a file. An EXIF orientation of the latter two is applied, so that the label map
                has the size of the image as people see it. A network trained on other bands or
                deeper values takes those: (H, W, C) with its bands, in the values of its files.

        Returns:
            (H, W) class ids.

        Raises:
            InputError: It is no such image, or the file cannot be read.
        """
        return self.predict_pixels(as_pixels(image, self.facts.images))

    def predict_pixels(self, pixels: Pixels) -> NDArray[np.uint8]:
        """Predicts what `as_pixels`, `read_pixels` or a data set hands out, already scaled.

        Args:
            pixels: (H, W, C), uint8 or float32 in 0..255.

        Returns:
            (H, W) class ids.
        """
        return label_map_of(unresized(self.logits, batch_of_one(pixels)), pixels.shape[:2])


def as_pixels(image: ImageLike, images: ImageSpec) -> Pixels:
    """(H, W, C) of whatever `Predictor` accepts: uint8, or float32 in 0..255.

    Raises:
        InputError: It is no image, has other bands than `images` says, or values beyond its.
    """
    if isinstance(image, (str, Path)):
        return read_pixels(Path(image), images)
    if isinstance(image, Image.Image):
        return pixels_of_picture(image, images, origin="the image")
    array, bands = np.asarray(image), images.num_channels
    of_bytes = images.max_value is None
    if (
        array.ndim != 3
        or array.shape[2] != bands
        or array.size == 0
        or (of_bytes and array.dtype != np.uint8)
    ):
        kind = f"{'uint8 ' if of_bytes else ''}{'RGB ' if images.channels == 3 else ''}"
        raise InputError(
            f"got an array of {array.dtype} with shape {array.shape}; an image is {kind}of shape "
            f"(H, W, {bands}), as those the network was trained on"
        )
    return finished(array, images, origin="the image")


def batch_of_one(image: Pixels) -> torch.Tensor:
    """(H, W, C) -> tensor (1, C, H, W) of the same type."""
    return torch.from_numpy(np.array(image.transpose(2, 0, 1), order="C"))[None]
