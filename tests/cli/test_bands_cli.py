"""From the command line: images of other bands and values train, are scored and predicted."""

import json
from pathlib import Path

import cv2
import numpy as np
import pytest
from PIL import Image

FAST = [
    *("--set", "training.max_steps=2", "--set", "training.batch_size=2"),
    *("--set", "model.backbone=resnet18", "--set", "data.crop_size=[32,32]"),
    *("--set", "dsrl.enabled=true", "--set", "data.photometric=0.1"),
]


def _folder(root: Path, declared: str, write) -> Path:
    random = np.random.default_rng(0)
    for number in range(6):
        split = root / ("train" if number < 4 else "val")
        for part in ("images", "masks"):
            (split / part).mkdir(parents=True, exist_ok=True)
        mask = np.zeros((40, 48), np.uint8)
        mask[8:30, 10:40] = 1
        values = np.clip(random.normal(0.3, 0.05, (40, 48, 4)) + 0.3 * mask[..., None], 0, 1)
        write(split / "images" / f"i{number}", values)
        Image.fromarray(mask).save(split / "masks" / f"i{number}.png")
    (root / "dataset.yaml").write_text("class_names: [ground, thing]\n" + declared)
    return root


def _deep_png(path: Path, values: np.ndarray) -> None:
    cv2.imwrite(f"{path}.png", (values[..., :3] * 4095).astype(np.uint16))


def _four_bands(path: Path, values: np.ndarray) -> None:
    Image.fromarray((values * 255).astype(np.uint8), "RGBA").save(f"{path}.tif")


def _floats(path: Path, values: np.ndarray) -> None:
    Image.fromarray((values[..., 0] * 30 - 30).astype(np.float32)).save(f"{path}.tif")


CASES = {
    "16 bits": ("max_value: 4095\n", _deep_png, 3),
    "four bands": ("channels: 4\n", _four_bands, 4),
    "two of four": ("channels: [4, 1]\n", _four_bands, 2),
    "floats": ("channels: 1\nmin_value: -30\nmax_value: 0\n", _floats, 1),
}


@pytest.mark.parametrize("case", CASES)
def test_declared_images_go_all_the_way(dualseg, tmp_path, case):
    declared, write, bands = CASES[case]
    folder, run = _folder(tmp_path / "data", declared, write), tmp_path / "run"
    trained = dualseg("train", "--data", folder, "--out", run, *FAST)
    assert trained.code == 0, trained.stderr
    assert ("data.mean is 0.5" in trained.stderr) == (bands != 3)
    facts = json.loads((run / "checkpoints/best/model.json").read_text())
    assert facts["architecture"]["in_channels"] == bands == len(facts["mean"])
    score = json.loads(dualseg("evaluate", run, "--json").stdout)
    assert 0 <= score["miou"] <= 1
    predicted = dualseg("predict", run, folder / "val" / "images", "--out", tmp_path / "out")
    assert predicted.code == 0, predicted.stderr
    assert Image.open(tmp_path / "out" / "i4_labels.png").size == (48, 40)
    assert dualseg("data", "stats", folder).code == 0
    assert dualseg("data", "show", folder, "--out", tmp_path / "sheet.png").code == 0


@pytest.mark.parametrize(
    ("write", "message"),
    [(_deep_png, "write max_value: 4095 in dataset.yaml"), (_floats, "min_value: -30")],
)
def test_undeclared_images_are_refused_with_what_to_write(dualseg, tmp_path, write, message):
    folder = _folder(tmp_path / "data", "", write)
    refused = dualseg("train", "--data", folder, "--out", tmp_path / "run", *FAST)
    assert refused.code == 2
    assert message.partition(" -30")[0] in refused.stderr
