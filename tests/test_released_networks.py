"""The networks in `results/` can be used as anyone would use them, and say what they are."""

import os
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from dualseg import Predictor
from dualseg.checkpoints.model_files import load_model, read_facts
from dualseg.data.datasets.camvid import open_camvid
from dualseg.evaluation.evaluate import evaluate

RESULTS = Path(__file__).parents[1] / "results"
FILES = sorted(RESULTS.glob("*/*.safetensors"))
PICTURE = (360, 480)
MAX_BYTES, MAX_PARAMETERS = 12_000_000, 5_000_000

pytestmark = pytest.mark.skipif(not RESULTS.is_dir(), reason="results/ is in the repository only")


def name(path: Path) -> str:
    return path.stem


def test_there_are_two_at_each_input():
    scales = [read_facts(path.with_suffix(".json")).input_scale for path in FILES]

    assert sorted(scales) == [0.5, 0.5, 1.0, 1.0]


@pytest.mark.parametrize("path", FILES, ids=name)
def test_a_released_network_is_small_and_says_what_it_is_derived_from(path: Path):
    model = load_model(path)

    assert path.stat().st_size < MAX_BYTES
    assert sum(weight.numel() for weight in model.parameters()) <= MAX_PARAMETERS
    assert "research" in model.facts.source
    assert model.facts.labels.num_classes == 11
    assert model.facts.score is not None


@pytest.mark.parametrize("path", FILES, ids=name)
def test_a_released_network_answers_at_the_size_of_the_picture(path: Path, tmp_path: Path):
    picture = np.random.default_rng(0).integers(0, 256, (*PICTURE, 3), dtype=np.uint8)
    Image.fromarray(picture).save(tmp_path / "street.png")

    labels = Predictor(path)(tmp_path / "street.png")

    assert labels.shape == PICTURE
    assert labels.max() < 11


@pytest.mark.slow
@pytest.mark.skipif("DUALSEG_CAMVID" not in os.environ, reason="DUALSEG_CAMVID names no folder")
@pytest.mark.parametrize("path", FILES, ids=name)
def test_a_released_network_scores_what_it_says(path: Path):
    model = load_model(path)

    evaluation = evaluate(model, open_camvid(Path(os.environ["DUALSEG_CAMVID"]), "val"))

    assert evaluation.scores.miou == pytest.approx(model.facts.score, abs=0.0005)
