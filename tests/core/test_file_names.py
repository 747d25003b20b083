"""Which names end as a kind of file, and which only have a dot."""

from pathlib import Path

import pytest

from dualseg.core.file_names import file_ending, with_ending


@pytest.mark.parametrize("name", ["runs/v1.5", "lr0.1", "camvid.baseline", "a.b/plain", ".", ".."])
def test_a_dot_in_the_name_of_a_folder_is_no_ending(name):
    assert file_ending(Path(name)) == ""


@pytest.mark.parametrize(
    ("name", "ending"),
    [("a.safetensors", ".safetensors"), ("v1.5.onnx", ".onnx"), ("a.PTH", ".PTH")],
)
def test_the_ending_of_a_kind_of_file_is_one_as_it_is_spelled(name, ending):
    assert file_ending(Path(name)) == ending


@pytest.mark.parametrize(
    ("name", "named"),
    [
        ("page.txt", "page.html"),
        ("out/v1.5", "out/v1.5.html"),
        ("v1.5.htm", "v1.5.html"),
        ("compare", "compare.html"),
    ],
)
def test_another_ending_takes_the_place_of_one_alone(name, named):
    assert with_ending(Path(name), ".html") == Path(named)
