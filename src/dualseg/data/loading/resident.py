"""Training batches cut on the device from data that lie there whole, as bytes.

Windows, flips and colours are drawn as by `TrainLoader`, from (seed, epoch, index): both give the
same crops but for the rounding of interpolated bytes, and of labels where the centre of a pixel
lies exactly between two. Only where an image is shrunk by more than two it is averaged in another
way.
"""

from collections.abc import Iterator
from itertools import accumulate
from typing import NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from dualseg.core.errors import InputError
from dualseg.core.geometry import Size
from dualseg.core.labels import IGNORE_INDEX
from dualseg.data.dataset import SegmentationDataset, images_of
from dualseg.data.loading.loaders import CROP, Position, Positions, RawBatch, stream
from dualseg.data.loading.transforms import Window, draw_pixel_of_a_class, draw_window
from dualseg.data.pictures.images import read_size
from dualseg.data.pictures.pixel_operations import draw_color_change, mean_color
from dualseg.data.scanning import in_order

BYTES_A_PIXEL = 4  # red, green, blue, class id
MOST_OF_FREE_MEMORY = 0.8


class _Plan(NamedTuple):
    """How a sample is cut, as drawn.

    matrix is the (3, 3) colour change, lift the share of the crop's mean that is added to it.
    """

    image: int
    window: Window
    flip: bool
    matrix: NDArray[np.float64]
    lift: float


class ResidentLoader:
    """Endless shuffled batches of augmented crops, like `TrainLoader`, on a device.

    Args:
        dataset: Images of three bands of bytes; all are read at once, by several threads.
        device: Where they are kept and cut.
        crop_size, scale_range, flip, photometric, batch_size, seed, class_balance, image_weights:
            See `TrainLoader`.

    Raises:
        InputError: They do not fit into the device's memory, or are not bytes of three bands.
    """

    def __init__(
        self,
        dataset: SegmentationDataset,
        *,
        device: torch.device,
        crop_size: Size,
        scale_range: tuple[float, float],
        flip: bool,
        photometric: float,
        batch_size: int,
        seed: int,
        class_balance: float = 0.0,
        image_weights: NDArray[np.float64] | None = None,
        rank: int = 0,
        world: int = 1,
    ):
        self.device = device
        self.rank = rank
        self.world = world
        self.crop_size = crop_size
        self.scale_range = scale_range
        self.flip = flip
        self.photometric = photometric
        self.batch_size = batch_size
        self.seed = seed
        self.class_balance = class_balance
        self.image_weights = image_weights
        self.num_images = len(dataset)
        self.num_workers = 0
        self.steps_per_epoch = len(dataset) // batch_size
        self.names = [dataset.name(index) for index in range(len(dataset))]
        self.sizes = [_size(dataset, index) for index in range(len(dataset))]
        areas = [height * width for height, width in self.sizes]
        self._first = [0, *accumulate(areas)]
        _require_room(sum(areas) * BYTES_A_PIXEL, device)
        self._pixels, self._means, self._labels = self._load(dataset)

    def batches(self, start_batch: int) -> Iterator[RawBatch]:
        """Batches from number `start_batch` on, without an end; getting there takes no time.

        Raises:
            InputError: The data set does not fill one batch.
        """
        order = Positions(
            self.num_images,
            self.batch_size,
            self.seed,
            start_batch,
            self.image_weights,
            rank=self.rank,
            world=self.world,
        )
        for positions in order:
            yield self._cut([self._plan(position) for position in positions])

    def _load(
        self, dataset: SegmentationDataset
    ) -> tuple[Tensor, Tensor, list[NDArray[np.uint8]] | None]:
        """All pixels as (P, 4), the mean colour of each image as (N, 3), and the label maps."""
        pixels = torch.empty(self._first[-1], BYTES_A_PIXEL, dtype=torch.uint8, device=self.device)
        means = torch.empty(self.num_images, 3, dtype=torch.uint8)
        labels: list[NDArray[np.uint8]] = []

        def read(index: int) -> tuple[NDArray[np.uint8], NDArray[np.uint8]]:
            image, label_map = dataset.image(index), dataset.label_map(index)
            if image.dtype != np.uint8 or image.shape[2] != 3:
                raise InputError(
                    f"{self.names[index]} has {image.shape[2]} bands of {image.dtype}; data kept "
                    "on the device are bytes in red, green and blue"
                )
            if image.shape[:2] != label_map.shape:
                raise InputError(
                    f"{self.names[index]}: the image is {image.shape[:2]}, its label "
                    f"{label_map.shape} pixels"
                )
            both = np.dstack([image, label_map]).astype(np.uint8, copy=False)
            return both, np.asarray(mean_color(image), np.uint8)

        for index, (both, mean) in enumerate(in_order(read, self.num_images)):
            place = slice(self._first[index], self._first[index + 1])
            pixels[place] = torch.from_numpy(both.reshape(-1, BYTES_A_PIXEL)).to(self.device)
            means[index] = torch.from_numpy(mean)
            if self.class_balance > 0:  # a pixel of a class is drawn on the CPU
                labels.append(both[..., 3].copy())
        return pixels, means.to(self.device), labels or None

    def _plan(self, position: Position) -> _Plan:
        """The same draws, in the same order, as those of `random_crop`."""
        random = stream(self.seed, CROP, position.epoch, position.crop)
        focus = None
        if self.class_balance > 0 and random.random() < self.class_balance:
            assert self._labels is not None
            focus = draw_pixel_of_a_class(self._labels[position.image], random)
        size = self.sizes[position.image]
        window = draw_window(size, self.crop_size, self.scale_range, random, focus)
        flip = self.flip and random.random() < 0.5
        matrix, lift = np.eye(3), 0.0
        if self.photometric > 0:
            matrix, lift = draw_color_change(3, self.photometric, random)
        return _Plan(position.image, window, flip, matrix, lift)

    def _cut(self, plans: list[_Plan]) -> RawBatch:
        height, width = self.crop_size
        rows = _axis(plans, 0, height, self.device)
        columns = _axis(plans, 1, width, self.device)
        first = self._column([self._first[plan.image] for plan in plans])
        stride = self._column([self.sizes[plan.image][1] for plan in plans])
        inside = rows.inside[:, :, None] & columns.inside[:, None, :]  # (B, H, W)

        def fetch(row: Tensor, column: Tensor) -> Tensor:
            """(B, H), (B, W) places in the images -> (B, H, W, 4) bytes."""
            start = first + row * stride
            return self._pixels[start[:, :, None] + column[:, None, :]]

        label_map = fetch(rows.nearest, columns.nearest)[..., 3]
        total = torch.zeros(len(plans), height, width, 3, device=self.device)
        for number, (low, high, part) in enumerate(rows.taps):
            for other, (left, right, share) in enumerate(columns.taps):
                down, across = part[:, :, None, None], share[:, None, :, None]
                upper = torch.lerp(_rgb(fetch(low, left)), _rgb(fetch(low, right)), across)
                lower = torch.lerp(_rgb(fetch(high, left)), _rgb(fetch(high, right)), across)
                is_used = (number < rows.num_taps) & (other < columns.num_taps)
                total += torch.lerp(upper, lower, down) * is_used[..., None, None]
        num_taps = (rows.num_taps * columns.num_taps)[..., None, None].float()
        image = torch.floor(total / num_taps + 0.5)
        means = self._means[torch.tensor([plan.image for plan in plans], device=self.device)]
        image = torch.where(inside[..., None], image, means[:, None, None].float())
        if self.photometric > 0:
            image = self._change_colors(image, plans)
        return RawBatch(
            image.to(torch.uint8).permute(0, 3, 1, 2).contiguous(),
            torch.where(inside, label_map, IGNORE_INDEX),
            tuple(self.names[plan.image] for plan in plans),
        )

    def _change_colors(self, image: Tensor, plans: list[_Plan]) -> Tensor:
        """(B, H, W, 3) of whole numbers -> the same, of other colours."""
        matrix = torch.tensor(np.stack([plan.matrix for plan in plans]), device=self.device)
        lift = torch.tensor([plan.lift for plan in plans], device=self.device)
        mean = image[:, ::4, ::4].mean(dim=(1, 2, 3)) * lift
        changed = torch.einsum("bij,bhwj->bhwi", matrix.float(), image)
        return torch.round(changed + mean[:, None, None, None]).clamp(0, 255)

    def _column(self, numbers: list[int]) -> Tensor:
        return torch.tensor(numbers, device=self.device)[:, None]


class _Axis(NamedTuple):
    """Where the rows (or columns) of the crops come from, (B, L) each.

    Of the taps, the first num_taps (B, 1) of each crop are averaged: lower and upper neighbour, and
    how far from the lower one.
    """

    inside: Tensor
    nearest: Tensor
    num_taps: Tensor
    taps: list[tuple[Tensor, Tensor, Tensor]]


def _axis(plans: list[_Plan], axis: int, length: int, device: torch.device) -> _Axis:
    """By pixel centres, as cv2 resizes; nothing beyond the window is met."""
    windows = [plan.window for plan in plans]
    start = [(window.top, window.left)[axis] for window in windows]
    taken = [(window.height, window.width)[axis] for window in windows]
    filled = [window.size[axis] for window in windows]
    offset = [window.offset[axis] for window in windows]
    numbers = torch.tensor([start, taken, filled, offset], device=device, dtype=torch.float64)
    first, source, size, skip = numbers[:, :, None]
    place = torch.arange(length, device=device, dtype=torch.float64)[None]
    if axis == 1:
        mirrored = torch.tensor([plan.flip for plan in plans], device=device)[:, None]
        place = torch.where(mirrored, length - 1 - place, place)
    place = place - skip
    inside = (place >= 0) & (place < size)
    ratio, last = source / size, source - 1
    nearest = torch.minimum(((place + 0.5) * ratio).floor().clamp(min=0), last)
    counts = [max(1, -(-t // (2 * f))) for t, f in zip(taken, filled, strict=True)]
    num_taps = torch.tensor(counts, device=device, dtype=torch.float64)[:, None]
    taps = []
    for number in range(max(counts)):
        within = (number + 0.5) / num_taps
        exact = torch.minimum(((place + within) * ratio - 0.5).clamp(min=0), last)
        low = exact.floor()
        high = torch.minimum(low + 1, last)
        taps.append(((first + low).long(), (first + high).long(), (exact - low).float()))
    return _Axis(inside, (first + nearest).long(), num_taps, taps)


def _rgb(pixels: Tensor) -> Tensor:
    return pixels[..., :3].float()


def _size(dataset: SegmentationDataset, index: int) -> Size:
    path = dataset.image_path(index)
    if path is not None:
        return read_size(path, images_of(dataset))
    height, width = dataset.label_map(index).shape
    return height, width


def _require_room(needed: int, device: torch.device) -> None:
    if device.type != "cuda":
        return
    free, _ = torch.cuda.mem_get_info(device)
    if needed > MOST_OF_FREE_MEMORY * free:
        raise InputError(
            f"the training images take {needed >> 20:,} MiB as bytes, {device} has {free >> 20:,} "
            "MiB free; load them by workers (training.num_workers) and leave them off the device"
        )
