"""Makes docs/images/quickstart.png from what `dualseg quickstart --out DIR` left.

    python docs/images/make_quickstart.py DIR

A row a scene: the image, what the network sees of it, its answer, and the truth.
"""

import sys
from pathlib import Path

import cv2
import numpy as np
import torch
from numpy.typing import NDArray
from PIL import Image

from dualseg.checkpoints.model_files import load_model
from dualseg.core.geometry import shrink_images
from dualseg.data.catalog import open_dataset
from dualseg.inference.predictor import Predictor
from dualseg.visual.overlay import paint

SCENES = (2, 5, 11)
GAP = 6


def main() -> None:
    run = Path(sys.argv[1]) / "sssr_sisr_fa" / "seed_0" / "checkpoints" / "last"
    predictor = Predictor(load_model(run))
    dataset = open_dataset("streets", split="val")
    rows = []
    for index in SCENES:
        image = dataset.image(index)
        tiles = (
            image,
            seen(image),
            paint(predictor(image), dataset.labels),
            paint(dataset.label_map(index), dataset.labels),
        )
        rows.append(np.hstack([framed(tile) for tile in tiles]))
    Image.fromarray(np.vstack(rows)).save(Path(__file__).with_name("quickstart.png"), optimize=True)


def seen(image: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """The half-size input, enlarged by nearest so that its pixels show."""
    small = shrink_images(torch.from_numpy(image.copy()).permute(2, 0, 1)[None].float(), 0.5)
    pixels = small[0].round().clamp(0, 255).to(torch.uint8).permute(1, 2, 0).numpy()
    size = (image.shape[1], image.shape[0])
    return np.asarray(cv2.resize(pixels, size, interpolation=cv2.INTER_NEAREST), np.uint8)


def framed(tile: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """A white gap on the right and below."""
    return np.pad(tile, ((0, GAP), (0, GAP), (0, 0)), constant_values=255)


if __name__ == "__main__":
    main()
