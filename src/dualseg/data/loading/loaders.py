"""Training batches, addressed by their number: the same ones whoever loads them, from anywhere on.

The order of images is a function of (seed, epoch), the crop of a sample one of (seed, epoch,
index). Nothing is drawn from a global generator, so that building or restarting a loader
changes nothing else.
"""

import ctypes
import signal
import sys
from collections.abc import Iterator
from typing import NamedTuple, Protocol

import cv2
import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.utils.data import DataLoader, Dataset, Sampler

from dualseg.core.errors import InputError
from dualseg.core.geometry import Size
from dualseg.data.dataset import SegmentationDataset
from dualseg.data.loading.transforms import random_crop

ORDER, CROP = 0, 1  # which stream of random numbers
PR_SET_PDEATHSIG = 1  # of Linux


class RawBatch(NamedTuple):
    """A batch as it comes from the loader.

    Attributes:
        image: (B, 3, H, W) uint8 RGB, or the bands and values the data set declares.
        label_map: (B, H, W) uint8 ids, 255 ignored.
        names: Of the images.
    """

    image: Tensor
    label_map: Tensor
    names: tuple[str, ...]


class Position(NamedTuple):
    """Which sample is meant.

    Attributes:
        epoch: How often the data has been gone through.
        image: Its number in the data set.
        crop: Number of its random stream in this epoch: the image's, or where an image may come
            twice, its place in the order.
    """

    epoch: int
    image: int
    crop: int


class BatchSource(Protocol):
    """What a training takes its batches from."""

    batch_size: int
    num_images: int
    steps_per_epoch: int

    def batches(self, start_batch: int) -> Iterator[RawBatch]:
        """Batches from number `start_batch` on, without an end; getting there takes no time."""
        ...


class TrainLoader:
    """Endless shuffled batches of augmented crops; an epoch's last, incomplete batch is dropped.

    Args:
        dataset: Images and labels.
        crop_size: (height, width) of the crops.
        scale_range, flip, photometric: See `random_crop`.
        batch_size: Crops in a batch.
        seed: Of order and crops.
        num_workers: Processes that load; 0 loads in this one. Does not change what is loaded.
        class_balance: See `random_crop`.
        image_weights: (N,) probability of each image; then an epoch draws N images with
            replacement. None: each image once.
        rank, world: This process's number among those that share each batch: it loads the rank-th
            of `world` equal slices. Order and crops are functions of the whole batch.
    """

    def __init__(
        self,
        dataset: SegmentationDataset,
        *,
        crop_size: Size,
        scale_range: tuple[float, float],
        flip: bool,
        photometric: float,
        batch_size: int,
        seed: int,
        num_workers: int = 0,
        class_balance: float = 0.0,
        image_weights: NDArray[np.float64] | None = None,
        rank: int = 0,
        world: int = 1,
    ):
        self.batch_size = batch_size
        self.rank = rank
        self.world = world
        self.num_workers = num_workers
        self.num_images = len(dataset)
        self.seed = seed
        self.steps_per_epoch = len(dataset) // batch_size
        self.image_weights = image_weights
        self._crops = _Crops(
            dataset, crop_size, scale_range, flip, photometric, class_balance, seed
        )

    def batches(self, start_batch: int) -> Iterator[RawBatch]:
        """Batches from number `start_batch` on, without an end; getting there takes no time.

        Raises:
            InputError: The data set does not fill one batch, or a file is bad.
        """
        loader = DataLoader(
            self._crops,
            batch_sampler=Positions(
                self.num_images,
                self.batch_size,
                self.seed,
                start_batch,
                self.image_weights,
                rank=self.rank,
                world=self.world,
            ),
            num_workers=self.num_workers,
            collate_fn=_collate,
            generator=torch.Generator(),  # else it draws a seed from the global one
            worker_init_fn=_start_worker,
        )
        for batch in loader:
            if isinstance(batch, str):
                raise InputError(batch)
            yield batch


class Positions(Sampler[list[Position]]):
    """Every sample of a process's slice of every batch, from a batch on.

    Raises:
        InputError: The images do not fill one batch.
    """

    def __init__(
        self,
        num_images: int,
        batch_size: int,
        seed: int,
        start_batch: int,
        weights: NDArray[np.float64] | None,
        *,
        rank: int = 0,
        world: int = 1,
    ):
        if num_images < batch_size:
            raise InputError(
                f"{num_images} training images do not fill one batch of {batch_size}; "
                f"use training.batch_size={max(1, num_images)} or less"
            )
        self.num_images = num_images
        self.batch_size = batch_size
        self.seed = seed
        self.start_batch = start_batch
        self.weights = weights
        self.rank = rank
        self.share = batch_size // world

    def __iter__(self) -> Iterator[list[Position]]:
        steps = self.num_images // self.batch_size
        epoch, step = divmod(self.start_batch, steps)
        while True:
            order = self._order(epoch)
            for first in range(step * self.batch_size, steps * self.batch_size, self.batch_size):
                mine = first + self.rank * self.share
                places = range(mine, mine + self.share)
                yield [self._position(epoch, place, int(order[place])) for place in places]
            epoch, step = epoch + 1, 0

    def _position(self, epoch: int, place: int, index: int) -> Position:
        return Position(epoch, index, index if self.weights is None else place)

    def _order(self, epoch: int) -> NDArray[np.intp]:
        random = stream(self.seed, ORDER, epoch, 0)
        if self.weights is None:
            return random.permutation(self.num_images)
        return random.choice(self.num_images, size=self.num_images, p=self.weights)


class _Crops(Dataset[tuple[Tensor, Tensor, str] | str]):
    """The crop of (epoch, index); a bad file comes back as its message.

    An exception would reach the main process as a traceback of the worker's.
    """

    def __init__(
        self,
        dataset: SegmentationDataset,
        crop_size: Size,
        scale_range: tuple[float, float],
        flip: bool,
        photometric: float,
        class_balance: float,
        seed: int,
    ):
        self.dataset = dataset
        self.crop_size = crop_size
        self.scale_range = scale_range
        self.flip = flip
        self.photometric = photometric
        self.class_balance = class_balance
        self.seed = seed

    def __getitem__(self, position: Position) -> tuple[Tensor, Tensor, str] | str:
        epoch, index, crop = position
        try:
            image, label_map = self.dataset.image(index), self.dataset.label_map(index)
        except InputError as error:
            return str(error)
        name = self.dataset.name(index)
        if image.shape[:2] != label_map.shape:
            return f"{name}: the image is {image.shape[:2]}, its label {label_map.shape} pixels"
        image, label_map = random_crop(
            image,
            label_map,
            crop_size=self.crop_size,
            scale_range=self.scale_range,
            flip=self.flip,
            photometric=self.photometric,
            random=stream(self.seed, CROP, epoch, crop),
            class_balance=self.class_balance,
        )
        return torch.from_numpy(image), torch.from_numpy(label_map), name


def stream(seed: int, kind: int, epoch: int, index: int) -> np.random.Generator:
    """Random numbers that are a function of these four.

    Args:
        seed: Of the run.
        kind: `ORDER` or `CROP`.
        epoch, index: Of the sample.
    """
    sequence = np.random.SeedSequence((seed, kind, epoch, index))
    return np.random.Generator(np.random.Philox(sequence))


def _collate(samples: list[tuple[Tensor, Tensor, str] | str]) -> RawBatch | str:
    for sample in samples:
        if isinstance(sample, str):
            return sample
    images, label_maps, names = zip(*samples, strict=True)
    # Pixel by pixel, as they lie in the samples: twenty times faster than band by band.
    batch = torch.stack(images).permute(0, 3, 1, 2)
    return RawBatch(batch, torch.stack(label_maps), tuple(names))


def _start_worker(worker: int) -> None:
    """A Ctrl-C reaches the whole process group; only the main process decides when to end."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    signal.signal(signal.SIGTERM, signal.SIG_IGN)
    _die_with_parent()
    cv2.setNumThreads(0)


def _die_with_parent() -> None:
    """Two workers can keep each other's full pipes open for good when the main one is killed."""
    if sys.platform == "linux":
        ctypes.CDLL(None).prctl(PR_SET_PDEATHSIG, signal.SIGKILL)
