"""The frame of our pages."""

import pytest

from dualseg.visual.page import breakable, series_legend


@pytest.mark.parametrize(
    ("name", "html"),
    [
        ("low_label/seed_0", "low_<wbr>label/<wbr>seed_<wbr>0"),
        ("traffic-light.red", "traffic-<wbr>light.<wbr>red"),
        ("a - b", "a - b"),
        ("ends_", "ends_"),
        ("<b>&_c", "&lt;b&gt;&amp;_<wbr>c"),
    ],
)
def test_a_name_may_break_where_its_parts_meet(name: str, html: str) -> None:
    assert breakable(name) == html


def test_a_legend_shows_the_dashes_of_its_curves() -> None:
    legend = series_legend(["a", "b"], ["red", "red"], ["", "6 3"])
    solid, dashed = legend.split("</li><li>")
    assert "swatch round" in solid
    assert 'stroke="red" stroke-width="2" stroke-dasharray="6 3"' in dashed
