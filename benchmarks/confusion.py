"""The confusion matrix of 4 label maps of 1024x2048 pixels, four ways.

    python benchmarks/confusion.py [--classes 19] [--repeats 9]

Ours takes maps of bytes; the others take what their users give them: torchmetrics and the plain
formula with `np.bincount` int64, as label maps come out of a training loop. `np.bincount` on bytes
stands beside them. Each is the fastest of its repeats after a warm-up; the time to compile the
kernel or to load it from disk is told apart. Label maps: `blocks` are regions of 64x64 pixels
against the same moved by three pixels; `noise`, where no two pixels agree, is the worst case.
"""

import argparse
import time
from collections.abc import Callable

import numpy as np
import torch
from numpy.typing import NDArray

from dualseg.metrics.confusion import confusion_matrix
from dualseg.metrics.pair_counts import count_with_cv2
from dualseg.metrics.pair_kernel import compiled_kernel

SHAPE = (4, 1024, 2048)
Maps = NDArray[np.uint8]


def fastest_ms(run: Callable[[], object], repeats: int) -> float:
    run()
    times = []
    for _ in range(repeats):
        start = time.perf_counter()
        run()
        times.append(1000 * (time.perf_counter() - start))
    return min(times)


def blocks(num_classes: int) -> tuple[Maps, Maps]:
    small = np.random.default_rng(0).integers(
        0, num_classes, (SHAPE[0], SHAPE[1] // 64, SHAPE[2] // 64), dtype=np.uint8
    )
    target = small.repeat(64, axis=1).repeat(64, axis=2)
    return target, np.ascontiguousarray(np.roll(target, 3, axis=2))


def noise(num_classes: int) -> tuple[Maps, Maps]:
    rng = np.random.default_rng(0)
    return (
        rng.integers(0, num_classes, SHAPE, dtype=np.uint8),
        rng.integers(0, num_classes, SHAPE, dtype=np.uint8),
    )


def plain_formula(target: NDArray[np.int64], preds: NDArray[np.int64], num_classes: int) -> object:
    """The three lines most segmentation code has."""
    valid = (target >= 0) & (target < num_classes)
    pairs = num_classes * target[valid] + preds[valid]
    return np.bincount(pairs, minlength=num_classes**2).reshape(num_classes, num_classes)


def compare(name: str, target: Maps, preds: Maps, num_classes: int, repeats: int) -> None:
    from torchmetrics import JaccardIndex

    metric = JaccardIndex(task="multiclass", num_classes=num_classes, ignore_index=255)
    long_target, long_preds = (torch.from_numpy(m.astype(np.int64)) for m in (target, preds))
    tall = SHAPE[0] * SHAPE[1], SHAPE[2]
    target_rows, preds_rows = target.reshape(tall), preds.reshape(tall)
    ours = confusion_matrix(target_rows, preds_rows, num_classes)
    theirs = plain_formula(long_target.numpy(), long_preds.numpy(), num_classes)
    assert np.array_equal(ours, np.asarray(theirs))
    milliseconds = {
        "ours": fastest_ms(lambda: confusion_matrix(target_rows, preds_rows, num_classes), repeats),
        "cv2.calcHist (ours without numba)": fastest_ms(
            lambda: count_with_cv2(target.ravel(), preds.ravel()), repeats
        ),
        "np.bincount on bytes": fastest_ms(
            lambda: np.bincount(
                256 * target.ravel().astype(np.intp) + preds.ravel(), minlength=65536
            ),
            3,
        ),
        "np.bincount, plain formula, int64": fastest_ms(
            lambda: plain_formula(long_target.numpy(), long_preds.numpy(), num_classes), 3
        ),
        "torchmetrics JaccardIndex": fastest_ms(lambda: metric.update(long_preds, long_target), 2),
    }
    for way, ms in milliseconds.items():
        print(f"{name:7s} {way:36s} {ms:9.2f} ms {ms / milliseconds['ours']:8.1f} x ours")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--classes", type=int, default=19)
    parser.add_argument("--repeats", type=int, default=9)
    parser.add_argument("--threads", type=int, default=2)
    arguments = parser.parse_args()
    torch.set_num_threads(arguments.threads)
    start = time.perf_counter()
    kernel = compiled_kernel()
    spent = time.perf_counter() - start
    print(f"numba kernel: {'none' if kernel is None else f'ready after {spent:.2f} s'}")
    for name, make in (("blocks", blocks), ("noise", noise)):
        compare(name, *make(arguments.classes), arguments.classes, arguments.repeats)


if __name__ == "__main__":
    main()
