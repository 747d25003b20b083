"""The images a file is compared and calibrated on."""

from collections.abc import Iterator, Sequence
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from dualseg.core.facts import ModelFacts
from dualseg.core.geometry import Size, scaled_size
from dualseg.core.image_spec import Pixels
from dualseg.core.labels import LabelSpec
from dualseg.data.catalog import open_dataset
from dualseg.data.dataset import SegmentationDataset
from dualseg.data.pictures.bands import read_pixels
from dualseg.export.parity import at_size
from dualseg.export.pieces import Preprocessing
from dualseg.inference.predictor import batch_of_one

GATE_SIZES: tuple[Size, Size] = ((320, 416), (297, 345))
"""Of the network's input: one even and one odd, wide enough for a dilation of 36 at stride 8."""
NUM_COMPARED = 2
MAX_LABELLED = 64
MAX_CALIBRATION = 128


class SomeImages:
    """Images of a data set, evenly spread over it.

    Args:
        whole: The data set.
        count: At most so many.
    """

    def __init__(self, whole: SegmentationDataset, count: int):
        self.labels: LabelSpec = whole.labels
        self.split = whole.split
        self.whole = whole
        self.indices = spread(len(whole), count)

    def __len__(self) -> int:
        return len(self.indices)

    def name(self, index: int) -> str:
        return self.whole.name(self.indices[index])

    def image(self, index: int) -> Pixels:
        return self.whole.image(self.indices[index])

    def label_map(self, index: int) -> NDArray[np.uint8]:
        return self.whole.label_map(self.indices[index])

    def image_path(self, index: int) -> Path | None:
        return self.whole.image_path(self.indices[index])

    def label_path(self, index: int) -> Path | None:
        return self.whole.label_path(self.indices[index])


def spread(length: int, count: int) -> list[int]:
    """At most `count` of `length` indices, evenly spread."""
    count = min(count, length)
    return [index * length // count for index in range(count)]


def gate_images(
    facts: ModelFacts, pixels: Iterator[Pixels], *, sizes: Sequence[Size] = GATE_SIZES
) -> list[Tensor]:
    """A few images at each of the sizes.

    Args:
        facts: The sizes are those of the network's input, so they grow by its input scale.
        pixels: Where they come from.
        sizes: Of the network's input.
    """
    images = [batch_of_one(image) for _, image in zip(range(NUM_COMPARED), pixels, strict=False)]
    wanted = [scaled_size(size, 1.0 / facts.input_scale) for size in sizes]
    return [at_size(image, size) for size in wanted for image in images]


def made_up(facts: ModelFacts) -> Iterator[Pixels]:
    """Street scenes drawn by the package for networks of colour images; else smooth noise."""
    if facts.images.is_plain:
        scenes = open_dataset("streets", split="val")
        yield from (scenes.image(index) for index in range(len(scenes)))
    random = np.random.default_rng(0)
    while True:
        coarse = random.uniform(0, 255, (1, facts.images.num_channels, 12, 16))
        smooth = at_size(torch.from_numpy(coarse).float(), (192, 256))[0].permute(1, 2, 0).numpy()
        of_bytes = facts.images.max_value is None
        yield smooth.round().astype(np.uint8) if of_bytes else smooth.astype(np.float32)


def images_of_files(paths: Sequence[Path], facts: ModelFacts) -> Iterator[Pixels]:
    """The images of some files, evenly spread over them."""
    for index in spread(len(paths), MAX_CALIBRATION):
        yield read_pixels(paths[index], facts.images)


def images_of_dataset(dataset: SegmentationDataset) -> Iterator[Pixels]:
    """Images of a data set, evenly spread over it."""
    for index in spread(len(dataset), MAX_CALIBRATION):
        yield dataset.image(index)


def network_inputs(
    pixels: Iterator[Pixels], facts: ModelFacts, *, size: Size | None
) -> list[NDArray[np.float32]]:
    """What the network is given for each image.

    Args:
        pixels: At most `MAX_CALIBRATION` are taken.
        facts: Say how it is prepared.
        size: The images' where these are fixed.
    """
    prepare = Preprocessing(facts)
    images = (batch_of_one(image) for _, image in zip(range(MAX_CALIBRATION), pixels, strict=False))
    with torch.no_grad():
        return [prepare(at_size(i, size) if size else i).numpy() for i in images]
