"""The reliability plot; where a dot lands can be worked out."""

import re
from xml.etree import ElementTree

import pytest

from dualseg.visual.reliability import CalibrationSeries, reliability_chart, reliability_table
from dualseg.visual.stored_scores import Calibration, ReliabilityBin

EMPTY = ReliabilityBin(0.0, 0.25, 0, None, None)


def series(*bins: ReliabilityBin, name: str = "run") -> CalibrationSeries:
    return CalibrationSeries(name, "red", Calibration(0.1, bins))


def dots(svg: str) -> list[tuple[float, float, float]]:
    found = re.findall(r'<circle cx="([\d.]+)" cy="([\d.]+)" r="([\d.]+)"', svg)
    return [(float(x), float(y), float(r)) for x, y, r in found]


def diagonal(svg: str) -> tuple[float, ...]:
    found = re.search(
        r'class="diagonal" x1="([\d.]+)" y1="([\d.]+)" x2="([\d.]+)" y2="([\d.]+)"', svg
    )
    assert found
    return tuple(float(value) for value in found.groups())


def test_a_calibrated_bin_lies_on_the_diagonal_and_others_beside_it() -> None:
    half = ReliabilityBin(0.25, 0.5, 50, 0.5, 0.5)
    overconfident = ReliabilityBin(0.5, 1.0, 50, 0.5, 1.0)
    svg = reliability_chart([series(EMPTY, half, overconfident)])
    left, bottom, right, top = diagonal(svg)
    (x, y, _), (sure_x, sure_y, _) = dots(svg)
    assert (x, y) == pytest.approx(((left + right) / 2, (top + bottom) / 2))
    assert sure_x == right
    assert sure_y == y


def test_area_grows_with_the_share_of_pixels() -> None:
    small, large = ReliabilityBin(0, 0.5, 20, 0.5, 0.5), ReliabilityBin(0.5, 1, 80, 0.9, 0.9)
    (_, _, few), (_, _, many) = dots(reliability_chart([series(small, large)]))
    assert many / few == pytest.approx(2.0, abs=0.05)


def test_bins_without_pixels_are_no_rows() -> None:
    table = reliability_table(Calibration(0.1, (EMPTY, ReliabilityBin(0.25, 0.5, 50, 0.5, 0.375))))
    assert table.count('scope="row"') == 1
    assert "0.25 to 0.50" in table
    assert "100.0 %" in table
    assert "0.375" in table


def test_names_are_escaped_and_the_error_is_said() -> None:
    svg = reliability_chart([series(ReliabilityBin(0, 1, 1, 1.0, 1.0), name="<script>\"'&")])
    label = ElementTree.fromstring(svg).get("aria-label")
    assert label == "Reliability plot: <script>\"'&, expected calibration error 0.100"
