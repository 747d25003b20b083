"""The study in one picture, of made-up differences."""

from pathlib import Path

import pytest

from camvid_study import overview
from camvid_study.intervals import Interval
from camvid_study.over_hosts import MeanDifference
from camvid_study.overview import MEAN, steps_of, write_overview
from camvid_study.summary import Difference, Place

HERE, THERE = (30, "90x120", "resnet18"), (30, "180x240", "resnet18")
STEP = ("full label", "low label")


def gain(value: float, *, row: str = "full label", seeds: int = 3) -> Difference:
    over_seeds = {"miou": Interval(value, value - 0.01, value + 0.01)}
    nothing = Interval(0.0)
    return Difference(row, "low label", tuple(range(seeds)), over_seeds, nothing, nothing)


@pytest.fixture(autouse=True)
def mean_of_two(monkeypatch: pytest.MonkeyPatch) -> None:
    """Of one size first, of both last, as `mean_differences` gives them."""
    one, both = (
        MeanDifference(30, size, *STEP, ("resnet18",), 6, {"miou": Interval(value, 0.0, 0.1)})
        for size, value in (("90x120", 0.07), ("both sizes", 0.02))
    )
    monkeypatch.setattr(overview, "mean_differences", lambda _: [one, both])


def shown(differences: dict[Place, list[Difference]]) -> dict[str, float]:
    found = steps_of({place: {} for place in differences}, differences)
    return {name: interval.value for name, interval in found[STEP].items()}


def test_a_step_has_its_places_and_the_mean_over_both_sizes():
    found = shown({HERE: [gain(0.01)], THERE: [gain(0.03)]})

    assert found == {"resnet18, 90x120": 0.01, "resnet18, 180x240": 0.03, MEAN: 0.02}


def test_places_with_two_seeds_and_other_rows_are_left_out():
    found = shown({HERE: [gain(0.01), gain(0.5, row="+SSSR")], THERE: [gain(0.03, seeds=2)]})

    assert found == {"resnet18, 90x120": 0.01}  # one place: no mean


def test_the_picture_names_steps_places_and_the_mean(tmp_path: Path):
    pytest.importorskip("matplotlib")
    differences = {HERE: [gain(0.01)], THERE: [gain(0.03)]}

    (path,) = write_overview({HERE: {}, THERE: {}}, differences, tmp_path / "plots")

    assert path.name == "overview_30.svg"
    text = path.read_text()
    assert "over the shrunk one" in text
    assert "resnet18, 180x240" in text
    assert MEAN in text


def test_one_place_makes_no_picture(tmp_path: Path):
    pytest.importorskip("matplotlib")

    assert write_overview({HERE: {}}, {HERE: [gain(0.01)]}, tmp_path / "plots") == []
