import json

import pytest

from dualseg.config import load_recipe
from dualseg.training.pace import seconds_per_epoch


def run_with(tmp_path, entries):
    recipe = load_recipe(None, overrides=["training.batch_size=4", "training.max_steps=10"])
    (tmp_path / "config.yaml").write_text(recipe.to_yaml())
    lines = "".join(json.dumps(entry) + "\n" for entry in entries)
    (tmp_path / "metrics.jsonl").write_text(lines)
    return tmp_path


def test_an_epoch_is_its_images_over_the_median_rate(tmp_path):
    # 10 steps of 4 images are 2 epochs of 20 images; at 5 images a second one takes 4 seconds.
    train = {"split": "train", "step": 10, "epoch": 2.0}
    rates = (1.0, 5.0, 9.0)
    run = run_with(tmp_path, [{**train, "images_per_second": rate} for rate in rates])
    assert seconds_per_epoch(run) == pytest.approx(4.0)


def test_validation_lines_and_missing_rates_count_for_nothing(tmp_path):
    run = run_with(tmp_path, [{"split": "val", "step": 10, "epoch": 2.0, "miou": 0.5}])
    assert seconds_per_epoch(run) is None
