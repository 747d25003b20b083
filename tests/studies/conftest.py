"""The study lies outside the package; a few tiny pictures stand in for CamVid."""

import sys
from pathlib import Path

import cv2
import numpy as np
import pytest

sys.path.insert(0, str(Path(__file__).parents[2] / "studies"))

HEIGHT, WIDTH = 96, 128
COUNTS = {"train": 8, "val": 3}


@pytest.fixture
def tiny_camvid(tmp_path: Path) -> Path:
    """Sky over road, a pole before both, and a void border; the image's grey tells them apart."""
    random = np.random.default_rng(0)
    root = tmp_path / "camvid"
    for split, count in COUNTS.items():
        lines = []
        for folder in (split, f"{split}annot"):
            (root / folder).mkdir(parents=True)
        for number in range(count):
            values = np.zeros((HEIGHT, WIDTH), np.uint8)
            values[random.integers(40, 60) :] = 3
            column = int(random.integers(20, 100))
            values[20:80, column : column + 3] = 2
            values[:, :2] = 11
            image = (20 + 60 * values[..., None] + random.integers(0, 9, (1, 1, 3))).astype(
                np.uint8
            )
            name = f"{split}_{number:03d}.png"
            cv2.imwrite(str(root / split / name), image)
            cv2.imwrite(str(root / f"{split}annot" / name), values)
            lines.append(f"/CamVid/{split}/{name} /CamVid/{split}annot/{name}\n")
        (root / f"{split}.txt").write_text("".join(lines))
    return root
