import json
from pathlib import Path
from typing import Any

import pytest
from pictures import gray, save

from dualseg.core.errors import InputError
from dualseg.data.datasets.folder import describe_folder


def _folder(root: Path, *shapes: dict[str, Any]) -> Path:
    for name in ("a", "b"):
        save(root / f"{name}.png", gray(3, 4))
        (root / f"{name}.json").write_text(json.dumps({"shapes": shapes, "imagePath": "../x"}))
    return root


def _shape(label: str, kind: str, *points: tuple[float, float]) -> dict[str, Any]:
    return {"label": label, "shape_type": kind, "points": points}


def test_later_shapes_lie_on_top_and_the_rest_is_background(tmp_path: Path) -> None:
    dog = _shape("dog", "rectangle", (0, 0), (3, 2))
    cat = _shape("cat", "polygon", (2, 0), (4, 0), (4, 1), (2, 1))
    description = describe_folder(_folder(tmp_path, dog, cat))
    assert description.labels.class_names == ("background", "cat", "dog")
    expected = [[2, 2, 1, 1], [2, 2, 2, 0], [0, 0, 0, 0]]
    assert description.open("val").label_map(0).tolist() == expected
    assert "labels: LabelMe shapes; pixels outside of them are background" in description.notes
    assert "  cat: 2 shapes" in description.notes


def test_a_circle_is_its_centre_and_a_point_of_its_rim(tmp_path: Path) -> None:
    description = describe_folder(_folder(tmp_path, _shape("c", "circle", (1.5, 1.5), (1.5, 2.6))))
    expected = [[0, 1, 0, 0], [1, 1, 1, 0], [0, 1, 0, 0]]
    assert description.open("val").label_map(0).tolist() == expected


def test_shapes_without_area_are_refused(tmp_path: Path) -> None:
    with pytest.raises(InputError) as caught:
        describe_folder(_folder(tmp_path, _shape("wire", "linestrip", (0, 0), (3, 3))))
    assert "shape_type 'linestrip' with 2 points covers no area" in caught.value.problems[0]


def test_an_image_without_shapes_file_is_named(tmp_path: Path) -> None:
    _folder(tmp_path, _shape("c", "rectangle", (0, 0), (1, 1)))
    save(tmp_path / "c.png", gray())
    with pytest.raises(InputError) as caught:
        describe_folder(tmp_path)
    assert caught.value.problems == ("c.png has no .json",)
