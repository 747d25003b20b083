"""The fully connected CRF at a large size: seconds, memory, and the size of its lattice.

    python benchmarks/crf.py [IMAGE] [--size 1024x2048] [--classes 19] [--iterations 5]
        [--threads 2] [--noise 0]

IMAGE is resized; without one, a street of the embedded data set is drawn. `--noise` adds sensor
noise of so many colour values: noisy colours need more vertices. Kernels are compiled before the
clock starts. The peak is that of the whole process; what it held before is printed beside it.
"""

import argparse
import resource
import time
from pathlib import Path

import cv2
import numpy as np
import torch
from numpy.typing import NDArray

from dualseg.data.pictures.images import read_image
from dualseg.data.scenes.scene import draw_scene
from dualseg.inference.crf.lattice import BilateralFilter
from dualseg.inference.crf.mean_field import dense_crf
from dualseg.inference.crf.settings import CrfSettings


def peak_mib() -> float:
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024


def noisy_picture(path: Path | None, height: int, width: int, noise: float) -> NDArray[np.uint8]:
    random = np.random.default_rng(0)
    picture = read_image(path) if path else draw_scene((512, 1024), random)[0]
    picture = cv2.resize(picture, (width, height), interpolation=cv2.INTER_CUBIC)
    grain = random.normal(0, noise, picture.shape)
    return np.clip(picture + grain, 0, 255).astype(np.uint8)


def coarse_probabilities(num_classes: int, height: int, width: int) -> NDArray[np.float32]:
    """Blobs, as a network of output stride 32 gives them."""
    torch.manual_seed(0)
    coarse = 4 * torch.randn(1, num_classes, height // 32, width // 32)
    logits = torch.nn.functional.interpolate(
        coarse, (height, width), mode="bilinear", align_corners=False
    )
    return logits.softmax(1)[0].numpy()


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("image", type=Path, nargs="?")
    parser.add_argument("--size", default="1024x2048")
    parser.add_argument("--classes", type=int, default=19)
    parser.add_argument("--iterations", type=int, default=5)
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--noise", type=float, default=0.0)
    arguments = parser.parse_args()
    torch.set_num_threads(arguments.threads)
    cv2.setNumThreads(arguments.threads)
    height, width = map(int, arguments.size.split("x"))
    image = noisy_picture(arguments.image, height, width, arguments.noise)
    probabilities = coarse_probabilities(arguments.classes, height, width)
    settings = CrfSettings(iterations=arguments.iterations)
    dense_crf(probabilities[:, :32, :32].copy(), image[:32, :32].copy(), settings)  # compiles
    before = peak_mib()
    start = time.perf_counter()
    lattice = BilateralFilter(
        image, xy_std=settings.bi_xy_std, rgb_std=settings.bi_rgb_std, threads=arguments.threads
    )
    built = time.perf_counter() - start
    vertices = lattice.num_vertices
    del lattice
    start, cpu_start = time.perf_counter(), time.process_time()
    dense_crf(probabilities, image, settings)
    seconds, cpu_seconds = time.perf_counter() - start, time.process_time() - cpu_start
    print(
        f"{height}x{width}, {arguments.classes} classes, {arguments.iterations} iterations, "
        f"{arguments.threads} threads: {seconds:.1f} s ({cpu_seconds:.1f} s of "
        f"processor time; of these the lattice {built:.1f} s, "
        f"{vertices:,} vertices), peak {peak_mib():.0f} MiB ({before:.0f} before)"
    )


if __name__ == "__main__":
    main()
