"""Images that are less familiar than validation images."""

import json
from pathlib import Path

import numpy as np
import pytest
from evaluation_fakes import Threshold, TinyDataset

from dualseg.core.errors import InputError
from dualseg.evaluation.evaluate import evaluate
from dualseg.evaluation.uncertainty import ImageUncertainty
from dualseg.evaluation.unlike import UnlikeLimits, read_limits


def images(*contrasts: float) -> TinyDataset:
    """The nearer to gray, the less sure the threshold network is."""
    target = np.array([[0, 1], [1, 0]])
    return TinyDataset([target] * len(contrasts), [0.5 + (target - 0.5) * c for c in contrasts])


def test_gray_images_are_marked_and_clear_ones_are_not(tmp_path: Path) -> None:
    known = evaluate(Threshold(), images(1.0, 0.9, 0.8), scores=["uncertainty"])
    path = tmp_path / "val.json"
    path.write_text(json.dumps(known.to_dict()))
    limits = read_limits(path)
    assert limits.entropy == known.extra["uncertainty"]["entropy"]["p99"]
    other = evaluate(Threshold(), images(0.95, 0.1, 0.0), scores=["uncertainty"])
    # The threshold network runs no batch norm, so the entropy decides.
    assert other.unlike(limits) == {
        "limits": {"entropy": limits.entropy, "feature_shift": None},
        "images": ["image_1", "image_2"],
    }


def test_the_feature_shift_decides_where_there_is_one() -> None:
    limits = UnlikeLimits(entropy=0.5, feature_shift=2.0, protocol={})
    assert limits.is_exceeded_by(ImageUncertainty(0.9, 0.1, 2.1))
    assert not limits.is_exceeded_by(ImageUncertainty(0.1, 0.9, 1.9))
    assert limits.is_exceeded_by(ImageUncertainty(0.1, 0.9, None))


def test_limits_of_another_protocol_are_refused() -> None:
    limits = UnlikeLimits(0.5, None, {"name": "slide", "window": [4, 4]})
    evaluation = evaluate(Threshold(), images(1.0), scores=["uncertainty"])
    with pytest.raises(InputError, match=r"another protocol \(.*name.*window differ\)"):
        evaluation.unlike(limits)


def test_images_are_listed_with_their_numbers() -> None:
    rows = evaluate(Threshold(), images(1.0, 0.0), scores=["uncertainty"]).image_rows()
    assert [row["name"] for row in rows] == ["image_0", "image_1"]
    assert rows[0]["confidence"] > rows[1]["confidence"]
    assert rows[1]["entropy"] == pytest.approx(1.0, abs=1e-3)
    assert rows[0]["pixel_accuracy"] == 1.0


def test_without_the_score_rows_have_no_such_numbers() -> None:
    assert set(evaluate(Threshold(), images(1.0)).image_rows()[0]) == {
        "name",
        "miou",
        "pixel_accuracy",
    }


@pytest.mark.parametrize("content", ["{}", '{"uncertainty": null}', '{"uncertainty": {}}'])
def test_a_file_without_uncertainty_is_refused(tmp_path: Path, content: str) -> None:
    path = tmp_path / "val.json"
    path.write_text(content)
    with pytest.raises(InputError, match="--scores uncertainty --json"):
        read_limits(path)


def test_a_missing_file_is_refused(tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"nowhere\.json"):
        read_limits(tmp_path / "nowhere.json")
