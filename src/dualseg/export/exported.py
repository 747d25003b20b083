"""An exported file in use: the one interface of every runtime."""

from collections.abc import Callable
from functools import cached_property
from typing import Any, NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from dualseg.core.errors import InputError
from dualseg.core.facts import ModelFacts
from dualseg.core.geometry import (
    Size,
    normalize_images,
    resize_logits,
    scaled_size,
    shrink_images,
)
from dualseg.core.outputs import SegmentationOutput
from dualseg.export.note import ExportNote
from dualseg.export.sessions import Session
from dualseg.inference.label_maps import label_map_of
from dualseg.inference.predictor import ImageLike, as_pixels, batch_of_one

IN_TORCH = ("eager", "compiled")
"""Runtimes in which a file is a network of torch again, which pads small images by itself."""


class Entries(NamedTuple):
    """Two ways into a file; each is opened when it is first used.

    Attributes:
        images: From pixels as files hold them to logits.
        network_input: From normalised, shrunk pixels to logits.
    """

    images: Callable[[], Session]
    network_input: Callable[[], Session]


class Exported(nn.Module):
    """A network in a runtime; takes the place of a network in `Predictor`, `evaluate` and others.

    Args:
        entries: Opened with torch's number of threads.
        facts: Of the network.
        note: Of the file.
        runtime: Its name.

    Shape: normalised images (B, C, h, w) float -> logits (B, K, h, w), or (B, K, 2h, 2w) with a
        DSRL label decoder
    """

    def __init__(self, entries: Entries, facts: ModelFacts, note: ExportNote, *, runtime: str):
        super().__init__()
        self.entries = entries
        self.facts = facts
        self.note = note
        self.runtime = runtime
        self.architecture = dict(facts.architecture)
        self.training = False

    def start(self) -> None:
        """Opens the way from images to logits now, instead of at the first image.

        Raises:
            InputError: The runtime is not installed or refuses the file.
        """
        _ = self._from_images

    @property
    def own_precision(self) -> str:
        """In which the file computes."""
        return self.note.precision

    @property
    def fixed_size(self) -> Size | None:
        """(height, width) of the only images it takes; None where it takes any."""
        return self.note.size

    def forward(self, images: Tensor) -> SegmentationOutput:
        """As the network it was made of: for images that are normalised and shrunk already."""
        if self.note.size is not None and self.facts.input_scale == 1.0:
            self._require_size(images)
        self._require_large_enough(images, _size_of(images))
        logits = self._run(self._from_network_input, images.float()).float()
        if not self.note.final_logits:
            is_shrunk = self.facts.input_scale != 1.0  # a bilinear label decoder, at one size
            size = self.note.size if is_shrunk else None
            logits = resize_logits(logits, size or _size_of(images))
        return SegmentationOutput(logits)

    def logits(self, images: Tensor) -> Tensor:
        """A `LogitsFunction`.

        Args:
            images: (B, C, H, W) uint8, or float in 0..255, RGB or the network's bands.

        Returns:
            (B, K, H, W) float32.

        Raises:
            InputError: The file is for images of another size or number of bands, or for larger
                ones.
        """
        return resize_logits(self.raw_logits(images).float(), _size_of(images))

    def raw_logits(self, images: Tensor) -> Tensor:
        """Logits at the size the file gives them; bilinear resizing to the image's is left.

        Returns:
            (B, K, h, w) float32; full-size ones of a bf16 file may be float16.

        Raises:
            InputError: As `logits`.
        """
        self._require_size(images)
        facts = self.facts
        self._require_large_enough(images, scaled_size(_size_of(images), facts.input_scale))
        if images.shape[1] != facts.images.num_channels:
            raise InputError(
                f"got images with {images.shape[1]} bands; the network was trained on "
                f"{facts.images.num_channels}"
            )
        of_bytes = facts.images.max_value is None
        if (images.dtype == torch.uint8) == of_bytes:
            return self._run(self._from_images, images if of_bytes else images.float())
        inputs = shrink_images(normalize_images(images, facts.mean, facts.std), facts.input_scale)
        return self._run(self._from_network_input, inputs)

    def label_map(self, image: ImageLike) -> NDArray[np.uint8]:
        """(H, W) class ids of what `Predictor` accepts: full-size logits are never stored.

        Raises:
            InputError: It is no such image.
        """
        images = batch_of_one(as_pixels(image, self.facts.images))
        return label_map_of(self.raw_logits(images), _size_of(images))

    @cached_property
    def _from_images(self) -> Session:
        return self.entries.images()

    @cached_property
    def _from_network_input(self) -> Session:
        return self.entries.network_input()

    def _run(self, session: Session, array: Tensor) -> Tensor:
        return session(array.detach().cpu().numpy())[0]

    def _require_size(self, images: Tensor) -> None:
        if self.note.size is not None and _size_of(images) != self.note.size:
            have, want = ("x".join(map(str, s)) for s in (_size_of(images), self.note.size))
            raise InputError(
                f"the image is {have}, but the file was exported for {want} alone; resize the "
                f"image, predict a larger one in tiles of that size (--tile {want}; evaluate with "
                f"--protocol slide --window {want}), or export without --size"
            )

    def _require_large_enough(self, images: Tensor, network_size: Size) -> None:
        """A graph holds the way of large images alone; a small one fails somewhere inside it."""
        smallest = self.note.smallest
        if self.runtime in IN_TORCH or min(network_size) >= smallest:
            return
        height, width = _size_of(images)
        shrunk = f", {network_size[0]}x{network_size[1]} for the network"
        raise InputError(
            f"the image is {height}x{width}{shrunk * ((height, width) != network_size)}, but in "
            f"{self.runtime} this file takes no side below {smallest}; the network it was made of "
            "does, and so does its file of --format torch"
        )

    def __deepcopy__(self, memo: dict[int, Any]) -> "Exported":
        return self  # compiled networks cannot be copied, and nothing in them changes


def _size_of(images: Tensor) -> Size:
    return images.shape[-2], images.shape[-1]
