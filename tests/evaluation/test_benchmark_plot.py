"""Names beside the plot: one a point, none over another, all inside the picture."""

from itertools import pairwise
from xml.etree import ElementTree

from dualseg.evaluation.benchmark_plot import NAME_HEIGHT, Measured, accuracy_against_latency


def names_of(points: list[Measured]) -> tuple[dict[str, float], float]:
    """Name -> height on the page, and the page's height."""
    root = ElementTree.fromstring(accuracy_against_latency(points))
    wanted = {point.name for point in points}
    texts = [node for node in root.iter() if node.tag.endswith("text")]
    found = {node.text or "": float(node.attrib["y"]) for node in texts if node.text in wanted}
    return found, float(root.attrib["height"])


def test_points_of_one_score_have_names_apart_the_slow_one_first():
    names, _ = names_of([Measured(f"after {ms} ms", ms, 0.52) for ms in (4.0, 11.0, 40.0)])

    assert list(names) == ["after 40.0 ms", "after 11.0 ms", "after 4.0 ms"]
    assert all(b - a >= NAME_HEIGHT for a, b in pairwise(names.values()))


def test_a_better_score_is_named_above():
    names, _ = names_of([Measured("worse", 4.0, 0.50), Measured("better", 4.0, 0.60)])

    assert names["better"] < names["worse"]


def test_many_points_make_the_page_longer_and_stay_inside():
    names, height = names_of([Measured(f"network {n}", 1.0 + n, 0.5) for n in range(60)])

    assert len(names) == 60
    assert all(b - a >= NAME_HEIGHT - 0.1 for a, b in pairwise(sorted(names.values())))
    assert max(names.values()) < height
