"""The frame of our pages."""

import pytest

from dualseg.visual.page import breakable


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
