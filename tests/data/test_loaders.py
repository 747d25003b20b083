import os
import signal
import sys
import time
from itertools import islice
from pathlib import Path

import numpy as np
import pytest
import torch
from pictures import SquareDataset, gray, save

from dualseg.core.errors import InputError
from dualseg.core.labels import LabelSpec
from dualseg.data.dataset import FileDataset, Pair, SegmentationDataset
from dualseg.data.loading.loaders import RawBatch, TrainLoader


def _loader(
    dataset: SegmentationDataset | None = None,
    *,
    batch_size: int = 2,
    seed: int = 3,
    num_workers: int = 0,
) -> TrainLoader:
    return TrainLoader(
        dataset or SquareDataset(7),
        crop_size=(8, 8),
        scale_range=(0.5, 2.0),
        flip=True,
        photometric=0.2,
        batch_size=batch_size,
        seed=seed,
        num_workers=num_workers,
    )


def _take(loader: TrainLoader, count: int, start: int = 0) -> list[RawBatch]:
    return list(islice(loader.batches(start), count))


def _same(first: list[RawBatch], second: list[RawBatch]) -> bool:
    return len(first) == len(second) and all(
        a.names == b.names
        and torch.equal(a.image, b.image)
        and torch.equal(a.label_map, b.label_map)
        for a, b in zip(first, second, strict=True)
    )


def test_a_batch_has_the_declared_shapes() -> None:
    (batch,) = _take(_loader(), 1)
    assert (batch.image.shape, batch.image.dtype) == ((2, 3, 8, 8), torch.uint8)
    assert (batch.label_map.shape, batch.label_map.dtype) == ((2, 8, 8), torch.uint8)
    assert len(batch.names) == 2


@pytest.mark.filterwarnings("ignore:This DataLoader will create")  # on a machine of two cores
@pytest.mark.parametrize("num_workers", [1, 3])
def test_workers_change_nothing(num_workers: int) -> None:
    assert _same(_take(_loader(num_workers=num_workers), 5), _take(_loader(), 5))


@pytest.mark.parametrize("start", [0, 1, 2, 3, 4, 7])
def test_starting_late_equals_skipping(start: int) -> None:
    whole = _take(_loader(), 10)  # three batches an epoch: 3, 6 and 9 begin a new one
    assert _same(_take(_loader(), 10 - start, start), whole[start:])


def test_starting_late_reads_nothing_before() -> None:
    dataset = SquareDataset(7)
    _take(_loader(dataset), 1, start=3_000_001)
    assert len(dataset.images_read) == 2


def test_each_image_comes_once_an_epoch_and_the_rest_is_dropped() -> None:
    loader = _loader(SquareDataset(7), batch_size=2)
    assert loader.steps_per_epoch == 3
    for epoch in range(3):
        names = [name for batch in _take(loader, 3, 3 * epoch) for name in batch.names]
        assert len(set(names)) == len(names) == 6


def test_with_full_batches_every_image_comes() -> None:
    loader = _loader(SquareDataset(6), batch_size=3)
    names = {name for batch in _take(loader, 2) for name in batch.names}
    assert names == {f"square_{index}" for index in range(6)}


def test_epochs_differ_in_order_and_in_crops() -> None:
    loader = _loader(SquareDataset(6), batch_size=6)
    first, second = _take(loader, 2)
    assert first.names != second.names
    assert set(first.names) == set(second.names)
    at = second.names.index(first.names[0])
    assert not torch.equal(first.image[0], second.image[at])


def test_a_crop_does_not_depend_on_the_batch_it_is_in() -> None:
    pairs = _take(_loader(SquareDataset(6), batch_size=2), 3)
    triples = _take(_loader(SquareDataset(6), batch_size=3), 2)
    assert torch.equal(torch.cat([b.image for b in pairs]), torch.cat([b.image for b in triples]))


def test_the_seed_changes_order_and_crops() -> None:
    assert not _same(_take(_loader(seed=3), 3), _take(_loader(seed=4), 3))


@pytest.mark.parametrize("num_workers", [0, 2])
def test_global_random_numbers_are_left_alone(num_workers: int) -> None:
    torch_before, numpy_before = torch.get_rng_state(), str(np.random.get_state())
    _take(_loader(num_workers=num_workers), 4)
    assert torch.equal(torch.get_rng_state(), torch_before)
    assert str(np.random.get_state()) == numpy_before


def test_global_random_numbers_change_nothing() -> None:
    torch.manual_seed(1)
    first = _take(_loader(), 3)
    torch.manual_seed(2)
    np.random.seed(2)
    assert _same(_take(_loader(), 3), first)


def test_too_few_images_for_a_batch_are_refused() -> None:
    with pytest.raises(InputError, match=r"3 training images .*batch of 4; .*batch_size=3"):
        _take(_loader(SquareDataset(3), batch_size=4), 1)


@pytest.mark.parametrize("num_workers", [0, 2])
def test_a_bad_file_is_named_whoever_reads_it(tmp_path: Path, num_workers: int) -> None:
    noise = np.random.default_rng(0).integers(0, 255, (8, 8, 3))
    image, label = save(tmp_path / "broken.png", noise), save(tmp_path / "m.png", [[0]])
    image.write_bytes(image.read_bytes()[:-30])
    labels = LabelSpec(("a", "b"), ((0, 0, 0), (9, 9, 9)))
    dataset = FileDataset((Pair("broken", image, label),), labels, "train")
    with pytest.raises(InputError, match=r"broken\.png .*cut off") as caught:
        _take(_loader(dataset, batch_size=1, num_workers=num_workers), 1)
    assert "Traceback" not in str(caught.value)


def test_a_label_of_another_size_is_named(tmp_path: Path) -> None:
    image, label = save(tmp_path / "a.jpg", gray(4, 6)), save(tmp_path / "a.png", [[0, 1]])
    labels = LabelSpec(("a", "b"), ((0, 0, 0), (9, 9, 9)))
    dataset = FileDataset((Pair("a", image, label),), labels, "train")
    with pytest.raises(InputError, match=r"a: the image is \(4, 6\), its label \(1, 2\) pixels"):
        _take(_loader(dataset, batch_size=1), 1)


def test_images_are_drawn_as_their_weights_say_and_each_time_cut_anew() -> None:
    weights = np.array([0.5, 0.5, 0, 0, 0, 0, 0])
    loader = TrainLoader(
        SquareDataset(7),
        crop_size=(8, 8),
        scale_range=(0.5, 2.0),
        flip=True,
        photometric=0.2,
        batch_size=7,
        seed=3,
        image_weights=weights,
    )
    batches = _take(loader, 3)
    names = [name for batch in batches for name in batch.names]
    assert set(names) == {"square_0", "square_1"}
    assert _same(_take(loader, 2, start=1), batches[1:])
    same_image = [i for i, name in enumerate(batches[0].names) if name == "square_0"]
    first, second = (batches[0].image[i] for i in same_image[:2])
    assert not torch.equal(first, second)


@pytest.mark.skipif(sys.platform != "linux", reason="only Linux tells of a parent's end")
def test_workers_end_with_the_process_that_started_them() -> None:
    ready, done = os.pipe()
    child = os.fork()
    if child == 0:
        try:
            batches = _loader(num_workers=2).batches(0)
            next(batches)
            os.write(done, b".")
            time.sleep(60)
        finally:
            os._exit(1)
    assert os.read(ready, 1) == b"."
    workers = Path(f"/proc/{child}/task/{child}/children").read_text().split()
    os.kill(child, signal.SIGKILL)
    os.waitpid(child, 0)
    assert len(workers) == 2
    deadline = time.monotonic() + 3  # without it torch's own watch looks every five seconds
    while any(is_alive(worker) for worker in workers):
        assert time.monotonic() < deadline, "a worker goes on"
        time.sleep(0.02)


def is_alive(process: str) -> bool:
    """Whether it runs; one that has ended may still wait for its parent to notice."""
    try:
        status = Path(f"/proc/{process}/stat").read_text()
    except FileNotFoundError:
        return False
    return status.rpartition(")")[2].split()[0] not in ("Z", "X")
