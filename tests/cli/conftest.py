"""A tiny folder of images and masks, and the command line inside this process."""

import json
import sys
from dataclasses import dataclass
from typing import Any

import numpy as np
import pytest
from PIL import Image

from dualseg.cli import main

TINY = """
model: {name: fcn, backbone: mobilenet_v2, output_stride: 32}
dsrl: {enabled: true}
data: {input_scale: 0.5, crop_size: [32, 48]}
training: {max_steps: 3, batch_size: 2, optimizer: adamw, lr: 0.001, log_every: 1}
"""


@dataclass(frozen=True)
class Finished:
    """How a command ended."""

    code: int
    stdout: str
    stderr: str

    @property
    def json(self) -> dict[str, Any]:
        """stdout, which must be one JSON object and nothing else."""
        return json.loads(self.stdout)


@pytest.fixture
def dualseg(capsys, monkeypatch):
    """Runs `dualseg ARGUMENTS` as the command line does."""

    def run(*arguments):
        monkeypatch.setattr(sys, "argv", ["dualseg", *map(str, arguments)])
        capsys.readouterr()
        code = main._run()
        captured = capsys.readouterr()
        return Finished(code, captured.out, captured.err)

    return run


@pytest.fixture
def street(tmp_path):
    """Eight images, a bright box on a dark ground, with 0/255 masks."""
    random = np.random.default_rng(0)
    folder = tmp_path / "street"
    for part in ("images", "masks"):
        (folder / part).mkdir(parents=True)
    for number in range(8):
        image = random.integers(0, 60, (40, 56, 3), dtype=np.uint8)
        mask = np.zeros((40, 56), np.uint8)
        top, left = random.integers(2, 18), random.integers(2, 30)
        mask[top : top + 18, left : left + 20] = 255
        image[mask > 0] += 150
        Image.fromarray(image).save(folder / "images" / f"{number}.png")
        Image.fromarray(mask).save(folder / "masks" / f"{number}.png")
    return folder


@pytest.fixture
def recipe(tmp_path):
    """A recipe that trains in a second."""
    path = tmp_path / "tiny.yaml"
    path.write_text(TINY)
    return path
