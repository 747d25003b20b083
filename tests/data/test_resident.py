"""Batches cut on the device are those of the loader on the CPU."""

from itertools import islice
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from numpy.typing import NDArray
from pictures import SquareDataset, save
from tiff_files import write_tiff

from dualseg.core.errors import InputError
from dualseg.core.image_spec import ImageSpec
from dualseg.core.labels import LabelSpec
from dualseg.data.dataset import FileDataset, Pair
from dualseg.data.loading.loaders import RawBatch, TrainLoader
from dualseg.data.loading.resident import ResidentLoader

CPU = torch.device("cpu")
SHAPES = ((40, 56), (33, 70), (64, 31), (50, 50), (20, 20))


class Smooth:
    """Images of several sizes whose colours change slowly, with blocks of three classes."""

    labels = LabelSpec(("a", "b", "c"), ((0, 0, 0), (9, 9, 9), (5, 5, 5)))
    split = "train"

    def __len__(self) -> int:
        return len(SHAPES)

    def name(self, index: int) -> str:
        return f"image {index}"

    def image(self, index: int) -> NDArray[np.uint8]:
        height, width = SHAPES[index]
        rows, columns = np.mgrid[:height, :width]
        bands = (rows * 3 + 20 * index, columns * 2 + 30, rows + columns + 50)
        return np.stack(bands, axis=2).clip(0, 255).astype(np.uint8)

    def label_map(self, index: int) -> NDArray[np.uint8]:
        height, width = SHAPES[index]
        rows, columns = np.mgrid[:height, :width]
        return ((rows // 7 + columns // 5 + index) % 3).astype(np.uint8)

    def image_path(self, index: int) -> Path | None:
        return None

    def label_path(self, index: int) -> Path | None:
        return None


def assert_same_labels(found: RawBatch, expected: RawBatch) -> None:
    """But for centres of pixels that lie exactly between two: cv2 rounds them either way."""
    assert torch.equal(found.label_map == 255, expected.label_map == 255)
    assert (found.label_map != expected.label_map).float().mean() < 0.03


def _both(count: int, **changed: object) -> list[tuple[RawBatch, RawBatch]]:
    options = {
        "crop_size": (24, 32),
        "scale_range": (0.6, 2.0),
        "flip": True,
        "photometric": 0.0,
        "batch_size": 4,
        "seed": 3,
        **changed,
    }
    on_cpu = TrainLoader(Smooth(), **options)  # type: ignore[arg-type]
    resident = ResidentLoader(Smooth(), device=CPU, **options)  # type: ignore[arg-type]
    pairs = zip(on_cpu.batches(0), resident.batches(0), strict=False)
    return list(islice(pairs, count))


@pytest.mark.parametrize(
    "changed",
    [{}, {"class_balance": 0.7}, {"flip": False, "crop_size": (80, 90)}, {"scale_range": (1, 1)}],
    ids=["plain", "class balance", "larger than the images", "not scaled"],
)
def test_crops_are_those_of_the_train_loader(changed: dict[str, object]) -> None:
    for expected, found in _both(6, **changed):
        assert found.names == expected.names
        assert_same_labels(found, expected)
        assert (found.image.int() - expected.image.int()).abs().max() <= 1


class Marked(Smooth):
    """Red tells the class: 0, 100 or 200."""

    def image(self, index: int) -> NDArray[np.uint8]:
        return np.repeat(100 * self.label_map(index)[..., None], 3, axis=2).astype(np.uint8)


def test_labels_lie_on_their_pixels() -> None:
    loader = ResidentLoader(
        Marked(),
        device=CPU,
        crop_size=(24, 32),
        scale_range=(1.0, 3.0),
        flip=True,
        photometric=0.0,
        batch_size=4,
        seed=1,
    )
    for batch in islice(loader.batches(0), 5):
        red, known = batch.image[:, 0].int(), batch.label_map != 255
        near = (red - 100 * batch.label_map.int()).abs() <= 50
        assert near[known].float().mean() > 0.92  # one pixel aside it would be 0.82


def test_colours_change_as_in_the_train_loader() -> None:
    for expected, found in _both(6, photometric=0.4):
        assert_same_labels(found, expected)
        assert (found.image.int() - expected.image.int()).abs().max() <= 3


def test_what_shrinks_far_is_averaged() -> None:
    for expected, found in _both(6, scale_range=(0.2, 0.3), crop_size=(8, 8)):
        assert_same_labels(found, expected)
        assert (found.image.int() - expected.image.int()).abs().max() <= 6


def test_images_are_drawn_as_their_weights_say() -> None:
    weights = np.array([0, 0.5, 0, 0.5, 0])
    for expected, found in _both(3, image_weights=weights):
        assert found.names == expected.names
        assert set(found.names) <= {"image 1", "image 3"}
        assert_same_labels(found, expected)


class Noise(Smooth):
    """Images in which every blur shows."""

    def image(self, index: int) -> NDArray[np.uint8]:
        return np.random.default_rng(index).integers(0, 255, (*SHAPES[index], 3), np.uint8)


def _loader(batch_size: int = 2, seed: int = 0) -> ResidentLoader:
    return ResidentLoader(
        Smooth(),
        device=CPU,
        crop_size=(16, 16),
        scale_range=(0.5, 2.0),
        flip=True,
        photometric=0.3,
        batch_size=batch_size,
        seed=seed,
    )


def test_starting_late_equals_skipping() -> None:
    skipped = list(islice(_loader().batches(0), 5))[3:]
    for late, expected in zip(_loader().batches(3), skipped, strict=False):
        assert torch.equal(late.image, expected.image)
        assert torch.equal(late.label_map, expected.label_map)


def test_a_crop_does_not_depend_on_the_batch_it_is_in() -> None:
    pairs = list(islice(_loader(batch_size=2).batches(0), 2))
    (four,) = islice(_loader(batch_size=4).batches(0), 1)
    assert torch.equal(torch.cat([pair.image for pair in pairs]), four.image)


def test_a_crop_that_shrinks_far_does_not_blur_the_others() -> None:
    options: dict[str, Any] = {
        "device": CPU,
        "crop_size": (8, 8),
        "scale_range": (0.15, 2.0),
        "flip": True,
        "photometric": 0.0,
        "seed": 3,
    }
    alone = ResidentLoader(Noise(), batch_size=1, **options).batches(0)
    (together,) = islice(ResidentLoader(Noise(), batch_size=5, **options).batches(0), 1)
    assert torch.equal(torch.cat([crop.image for crop in islice(alone, 5)]), together.image)


def test_images_are_read_as_their_folder_declares(tmp_path: Path) -> None:
    bands = np.random.default_rng(0).integers(0, 255, (9, 12, 5), np.uint8)
    image = write_tiff(tmp_path / "a.tif", bands)
    pairs = (Pair("a", image, save(tmp_path / "a.png", np.zeros((9, 12), np.uint8))),)
    dataset = FileDataset(pairs, Smooth.labels, "train", images=ImageSpec(channels=(4, 3, 2)))
    options: dict[str, Any] = {"scale_range": (1, 1), "flip": False, "photometric": 0.0, "seed": 0}
    loader = ResidentLoader(dataset, device=CPU, crop_size=(9, 12), batch_size=1, **options)
    (batch,) = islice(loader.batches(0), 1)
    assert np.array_equal(batch.image[0].permute(1, 2, 0).numpy(), bands[..., [3, 2, 1]])


def test_another_seed_is_another_order() -> None:
    first, second = (next(_loader(seed=seed).batches(0)) for seed in (0, 1))
    assert not torch.equal(first.image, second.image)


def test_global_random_numbers_are_left_alone() -> None:
    before = torch.get_rng_state()
    next(_loader().batches(0))
    assert torch.equal(torch.get_rng_state(), before)


def test_too_few_images_for_a_batch_are_refused() -> None:
    with pytest.raises(InputError, match="5 training images do not fill one batch of 6"):
        next(_loader(batch_size=6).batches(0))


class Floats(SquareDataset):
    """Its images are no bytes."""

    def image(self, index: int):
        return super().image(index).astype(np.float32)


def test_images_that_are_no_bytes_are_refused() -> None:
    with pytest.raises(InputError, match="square_0 has 3 bands of float32; data kept on the dev"):
        ResidentLoader(
            Floats(2),
            device=CPU,
            crop_size=(8, 8),
            scale_range=(1, 1),
            flip=False,
            photometric=0,
            batch_size=1,
            seed=0,
        )


@pytest.mark.gpu
def test_the_device_changes_nothing() -> None:
    if not torch.cuda.is_available():
        pytest.skip("no GPU")
    for expected, found in zip(_both(3), _on_gpu(), strict=False):
        assert torch.equal(found.label_map.cpu(), expected[1].label_map)
        assert (found.image.cpu().int() - expected[0].image.int()).abs().max() <= 1


def _on_gpu():
    return ResidentLoader(
        Smooth(),
        device=torch.device("cuda"),
        crop_size=(24, 32),
        scale_range=(0.6, 2.0),
        flip=True,
        photometric=0.0,
        batch_size=4,
        seed=3,
    ).batches(0)
