"""Charts are SVG text; where a value lands can be worked out."""

import re
from xml.etree import ElementTree

import pytest

from dualseg.visual.plots import (
    DotRow,
    Line,
    dot_chart,
    line_chart,
    nice_ticks,
    row_color,
    thin_out,
)


def heights(svg: str) -> list[float]:
    """y of every point of the first curve."""
    found = re.search(r'points="([^"]*)"', svg)
    assert found
    return [float(point.split(",")[1]) for point in found[1].split()]


def test_higher_values_are_drawn_higher() -> None:
    low, high, middle = heights(
        line_chart([Line("a", [(1, 0.0), (2, 1.0), (3, 0.5)], "red")], title="t", x_label="step")
    )
    assert high < middle < low
    assert middle == pytest.approx((high + low) / 2)


@pytest.mark.parametrize("points", [[(5, 0.25)], [(1, 2.0), (2, 2.0)], [(0, 0.0)], [(3, -1e-9)]])
def test_one_point_and_flat_curves_are_drawn(points: list[tuple[float, float]]) -> None:
    svg = line_chart([Line("a", points, "red")], title="t", x_label="step")
    assert "nan" not in svg
    assert svg.count("<circle") == len(points)


def test_charts_are_well_formed_and_escape_names() -> None:
    evil = "<script>&\"'"
    lines = line_chart([Line(evil, [(0, 1), (1, 2)], "red")], title=evil, x_label=evil)
    dots = dot_chart([DotRow(evil, [0.1, 0.2], "red")], title=evil, x_label=evil)
    for svg in (lines, dots):
        assert "<script>" not in svg
        assert ElementTree.fromstring(svg).tag == "svg"


def test_dot_chart_draws_every_seed_and_the_mean() -> None:
    svg = dot_chart(
        [DotRow("a", [0.1, 0.3], "red"), DotRow("b", [0.3], "blue")], title="t", x_label=""
    )
    assert svg.count("<circle") == 3
    assert "0.200" in svg


def test_ticks_are_round_and_cover_the_range() -> None:
    assert nice_ticks(0.13, 0.58) == [0.1, 0.2, 0.3, 0.4, 0.5, 0.6]
    assert nice_ticks(0, 1400) == [0, 500, 1000, 1500]


def test_thinning_keeps_the_mean_and_limits_the_points() -> None:
    points = [(float(i), float(i % 2)) for i in range(1000)]
    thinned = thin_out(points, max_points=100)
    assert len(thinned) == 100
    assert all(y == 0.5 for _, y in thinned)
    assert thin_out(points[:3]) == points[:3]
    assert thin_out([]) == []


def test_only_baselines_are_grey_and_variants_differ() -> None:
    greys = {row_color(0, 2), row_color(1, 2)}
    variants = [row_color(number, 2) for number in range(2, 8)]
    assert len(greys) == 2
    assert len(set(variants)) == 6
    assert not greys & set(variants)
    assert row_color(1, 1) == variants[0]
