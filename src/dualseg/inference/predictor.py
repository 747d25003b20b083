"""Label maps for images at hand."""

from pathlib import Path
from typing import TypeAlias

import numpy as np
import torch
from numpy.typing import NDArray
from PIL import Image
from torch import nn

from dualseg.checkpoints.model_files import load_model
from dualseg.core.errors import InputError
from dualseg.core.facts import ModelFacts
from dualseg.data.images import read_image, rgb_pixels
from dualseg.inference.strategies import Precision, device_of, find_facts, whole

ImageLike: TypeAlias = NDArray[np.uint8] | Image.Image | str | Path


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
        self.logits = whole(self.model, self.facts, precision=precision)

    def __call__(self, image: ImageLike) -> NDArray[np.uint8]:
        """Predicts one image.

        Args:
            image: (H, W, 3) uint8 RGB, a Pillow image of any mode with up to eight bits a channel,
                or a file. An EXIF orientation of the latter two is applied, so that the label map
                has the size of the image as people see it.

        Returns:
            (H, W) class ids.

        Raises:
            InputError: It is no such image, or the file cannot be read.
        """
        return label_map_of(self.logits(batch_of_one(as_rgb(image))))


def as_rgb(image: ImageLike) -> NDArray[np.uint8]:
    """(H, W, 3) uint8 RGB of whatever `Predictor` accepts."""
    if isinstance(image, (str, Path)):
        return read_image(Path(image))
    if isinstance(image, Image.Image):
        return rgb_pixels(image, origin="the image")
    array = np.asarray(image)
    if array.dtype != np.uint8 or array.ndim != 3 or array.shape[2] != 3 or array.size == 0:
        raise InputError(
            f"got an array of {array.dtype} with shape {array.shape}; an image is uint8 RGB of "
            "shape (H, W, 3)"
        )
    return array


def batch_of_one(image: NDArray[np.uint8]) -> torch.Tensor:
    """(H, W, 3) RGB -> uint8 tensor (1, 3, H, W)."""
    return torch.from_numpy(np.array(image.transpose(2, 0, 1), order="C"))[None]


def label_map_of(logits: torch.Tensor) -> NDArray[np.uint8]:
    """Logits (1, K, H, W) -> (H, W) ids of the highest class.

    Raises:
        FloatingPointError: A logit is NaN, which would otherwise pass for class 0.
    """
    best = logits[0].max(dim=0)
    if bool(best.values.isnan().any()):
        raise FloatingPointError("the network's logits are NaN; its weights are damaged")
    return best.indices.to(torch.uint8).cpu().numpy()
