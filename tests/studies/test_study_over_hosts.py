"""Means over hosts, of made-up runs."""

from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from camvid_study.over_hosts import MeanDifference, mean_differences
from camvid_study.plan import rows_of
from camvid_study.summary import Place, Result
from camvid_study.tables import json_of, mean_cells

SIZE, THIN = "180x240", ("pole", "sign")


def result(host: str, name: str, *mious: float) -> Result:
    """One seed a score; poles and signs have it too, boundaries half of it."""
    row = next(r for r in rows_of("ablation", sizes=[SIZE], hosts=[host]) if r.name == name)
    scores: dict[int, dict[str, Any]] = {
        seed: {
            "miou": miou,
            "boundary_iou": {"mean": miou / 2},
            "iou_per_class": dict.fromkeys(THIN, miou),
            "gflops": 1.0,
            "parameters": 1,
        }
        for seed, miou in enumerate(mious)
    }
    return Result(row, 30, {seed: Path("/nowhere") for seed in scores}, scores, None)


def study(**hosts: tuple[tuple[float, ...], tuple[float, ...]]) -> dict[Place, dict[str, Result]]:
    """Scores of "low label" and of "full label" on each host."""
    return {
        (30, SIZE, host): {
            "low label": result(host, "low label", *low),
            "full label": result(host, "full label", *full),
        }
        for host, (low, full) in hosts.items()
    }


TWO = study(
    resnet18=((0.5, 0.5, 0.5), (0.51, 0.52, 0.53)),  # 1, 2, 3 points
    lite0_imagenet=((0.6, 0.6, 0.6), (0.62, 0.66, 0.70)),  # 2, 6, 10 points
)


def only(found: list[MeanDifference]) -> MeanDifference:
    (one,) = found
    return one


def test_hosts_count_alike():
    found = only(mean_differences(TWO))

    assert (found.row, found.baseline, found.seeds) == ("full label", "low label", 6)
    assert found.hosts == ("resnet18", "lite0_imagenet")
    half = 4.303 * (17 / 3) ** 0.5 / 2  # worked out in test_study_intervals
    miou, boundary = found.over_seeds["miou"], found.over_seeds["boundary"]
    assert 100 * miou.value == pytest.approx(4.0)
    assert 100 * (miou.high or 0) == pytest.approx(4 + half)
    assert 100 * boundary.value == pytest.approx(2.0)
    assert found.over_seeds["thin"].value == pytest.approx(miou.value)


def test_a_host_of_two_seeds_is_left_out():
    third = study(mobilenet_v2=((0.5, 0.5), (0.9, 0.9)))

    assert only(mean_differences(TWO | third)).hosts == ("resnet18", "lite0_imagenet")


def test_one_host_alone_has_no_mean():
    few = study(resnet18=((0.5,) * 3, (0.6,) * 3), lite0_imagenet=((0.5,) * 2, (0.6,) * 2))

    assert mean_differences(few) == []


def test_other_budgets_are_not_mixed():
    first, second = TWO.items()
    other = {(60, SIZE, second[0][2]): second[1]}

    assert mean_differences(dict([first]) | other) == []


def at_small_size(results: dict[Place, dict[str, Result]]) -> dict[Place, dict[str, Result]]:
    return {(epochs, "90x120", host): rows for (epochs, _, host), rows in results.items()}


def test_both_sizes_together_count_a_host_once_for_each():
    small = study(resnet18=((0.5, 0.5, 0.5), (0.51, 0.52, 0.53)))

    alone, together = mean_differences(TWO | at_small_size(small))

    assert (alone.size, alone.seeds) == (SIZE, 6)
    assert (together.size, together.seeds) == ("both sizes", 9)
    assert together.hosts == ("resnet18", "lite0_imagenet")
    assert 100 * together.over_seeds["miou"].value == pytest.approx((2 + 6 + 2) / 3)


def test_one_host_at_two_sizes_is_a_mean_too():
    one = study(resnet18=((0.5, 0.5, 0.5), (0.51, 0.52, 0.53)))

    (found,) = mean_differences(one | at_small_size(one))

    assert (found.size, found.hosts, found.seeds) == ("both sizes", ("resnet18",), 6)


def test_a_pair_of_one_size_has_no_second_line():
    sparse = {place: {"low label": rows["low label"]} for place, rows in TWO.items()}

    assert [each.size for each in mean_differences(TWO | at_small_size(sparse))] == [SIZE]


def test_the_table_says_hosts_and_points():
    head, line = mean_cells(mean_differences(TWO))

    assert head[:5] == ["points, mean of the hosts", "against", "input", "hosts", "seeds"]
    hosts = "resnet18, lite0_imagenet"
    assert line[:5] == ["full label", "low label", SIZE, hosts, "6"]
    assert line[5] == "+4.0 (−1.1 to +9.1)"
    assert line[6] == "+2.0 (−0.6 to +4.6)"


def test_the_json_has_them_too():
    (plain,) = json_of(TWO, {place: [] for place in TWO}, {})["means"]

    assert (plain["row"], plain["hosts"]) == ("full label", ("resnet18", "lite0_imagenet"))
    assert plain["over_seeds"]["miou"]["value"] == pytest.approx(0.04)


def test_a_measure_without_values_is_a_dash():
    def without_thin(result: Result) -> Result:
        scores = {s: {**score, "iou_per_class": {}} for s, score in result.scores.items()}
        return replace(result, scores=scores)

    bare = {
        place: {name: without_thin(each) for name, each in rows.items()}
        for place, rows in TWO.items()
    }

    assert mean_cells(mean_differences(bare))[1][7] == "–"
