import json
from pathlib import Path
from typing import Any

import pytest
from pictures import gray, save

from dualseg.core.errors import InputError
from dualseg.data.checking.checker import check_dataset
from dualseg.data.datasets.folder import describe_folder
from dualseg.data.faults import DatasetError


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


@pytest.mark.parametrize("order", [(0, 1, 2, 3), (0, 1, 3, 2), (0, 2, 1, 3)])
def test_a_rectangle_may_be_given_by_its_four_corners(
    tmp_path: Path, order: tuple[int, ...]
) -> None:
    corners = [(0.0, 0.0), (3.0, 0.0), (3.0, 2.0), (0.0, 2.0)]
    root = _folder(tmp_path, _shape("c", "rectangle", *(corners[number] for number in order)))
    expected = [[1, 1, 1, 0], [1, 1, 1, 0], [0, 0, 0, 0]]
    assert describe_folder(root).open("val").label_map(0).tolist() == expected


@pytest.mark.parametrize("other", ["car ", "\u00a0car"])
def test_a_blank_typed_around_a_label_makes_no_second_class(tmp_path: Path, other: str) -> None:
    at = (0, 0), (1, 1)
    root = _folder(tmp_path, _shape("car", "rectangle", *at), _shape(other, "rectangle", *at))
    with pytest.raises(InputError, match="names of classes look alike") as caught:
        describe_folder(root)
    assert caught.value.problems == (f"'car' and {other!a}",)


def test_a_label_that_looks_like_a_declared_class_is_told_from_it(tmp_path: Path) -> None:
    root = _folder(tmp_path, _shape("cafe\u0301", "rectangle", (0, 0), (1, 1)))
    (root / "dataset.yaml").write_text("class_names: [background, caf\u00e9]\n", encoding="utf-8")
    with pytest.raises(InputError) as caught:
        describe_folder(root)
    assert caught.value.problems == (r"'caf\xe9' and 'cafe\u0301'",)


def test_two_images_of_one_shapes_file_are_told(tmp_path: Path) -> None:
    root = _folder(tmp_path, _shape("c", "rectangle", (0, 0), (1, 1)))
    save(root / "a.jpg", gray(3, 4))
    with pytest.raises(InputError) as caught:
        describe_folder(root)
    assert caught.value.problems == ("a.json has two images",)


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


def _places(root: Path, image: str, shapes: str) -> None:
    save(root / image, gray(3, 4))
    (root / shapes).parent.mkdir(parents=True, exist_ok=True)
    content = {"shapes": [_shape("cat", "rectangle", (0, 0), (4, 3))]}
    (root / shapes).write_text(json.dumps(content))


@pytest.mark.parametrize(
    ("image", "shapes"),
    [
        ("{split}/{name}.jpg", "{split}/{name}.json"),
        ("images/{split}/{name}.jpg", "annotations/{split}/{name}.json"),
        ("{split}/images/{name}.jpg", "{split}/labels/{name}.json"),
    ],
)
def test_split_folders_and_parallel_folders_are_found(
    tmp_path: Path, image: str, shapes: str
) -> None:
    for split, name in (("train", "a"), ("train", "b"), ("val", "c")):
        _places(tmp_path, *(p.format(split=split, name=name) for p in (image, shapes)))
    description = describe_folder(tmp_path)
    assert description.notes[0] == "images: 2 train, 1 val"
    assert description.open("val").label_map(0).tolist() == [[1] * 4] * 3


def test_parallel_folders_without_splits_are_held_out(tmp_path: Path) -> None:
    for name in ("a", "b"):
        _places(tmp_path, f"images/{name}.jpg", f"annotations/{name}.json")
    assert {len(pairs) for pairs in describe_folder(tmp_path).splits.values()} == {1}
    (tmp_path / "annotations/c.json").write_text('{"shapes": []}')
    with pytest.raises(InputError) as caught:
        describe_folder(tmp_path)
    assert caught.value.problems == ("c.json has no image",)


def test_the_names_of_labelme_for_ignored_and_background_are_known(tmp_path: Path) -> None:
    shapes = [
        _shape("cat", "rectangle", (0, 0), (4, 3)),
        _shape("__ignore__", "rectangle", (0, 0), (1, 3)),
        _shape("_background_", "rectangle", (3, 0), (4, 3)),
    ]
    description = describe_folder(_folder(tmp_path, *shapes))
    assert description.labels.class_names == ("background", "cat")
    assert description.open("val").label_map(0).tolist() == [[255, 1, 1, 0]] * 3


def test_shapes_drawn_on_an_image_of_another_size_are_found_by_the_check(tmp_path: Path) -> None:
    root = _folder(tmp_path, _shape("cat", "rectangle", (0, 0), (4, 3)))
    for file in root.glob("*.json"):
        content = json.loads(file.read_text()) | {"imageHeight": 4, "imageWidth": 3}
        file.write_text(json.dumps(content))
    with pytest.raises(DatasetError, match=r"E101.*transposed"):
        check_dataset(describe_folder(root).open("val"), use_records=False)


def test_points_far_outside_or_without_number_are_refused(tmp_path: Path) -> None:
    with pytest.raises(InputError) as caught:
        describe_folder(
            _folder(tmp_path, _shape("c", "polygon", (0, 0), (1, 1), (2, float("nan"))))
        )
    assert "a point is no number" in caught.value.problems[0]
    far = describe_folder(_folder(tmp_path, _shape("c", "polygon", (0, 0), (1, 1), (2, 1e300))))
    with pytest.raises(InputError, match="lies far outside of the image"):
        far.open("val").label_map(0)


@pytest.mark.parametrize(
    ("image", "shapes", "other"),
    [
        ("{split}/{name}.jpg", "{split}/{name}.json", "val/c.jpg"),
        ("images/{split}/{name}.jpg", "annotations/{split}/{name}.json", "images/val/c.jpg"),
    ],
)
def test_a_split_of_images_without_any_shapes_file_is_named(
    tmp_path: Path, image: str, shapes: str, other: str
) -> None:
    for name in ("a", "b"):
        _places(tmp_path, *(p.format(split="train", name=name) for p in (image, shapes)))
    save(tmp_path / other, gray(3, 4))
    (tmp_path / "annotations/val").mkdir(parents=True, exist_ok=True)
    with pytest.raises(InputError) as caught:
        describe_folder(tmp_path)
    assert caught.value.problems == ("c.jpg has no .json",)


def test_images_beside_the_split_folders_are_noted(tmp_path: Path) -> None:
    for name in ("a", "b"):
        _places(tmp_path, f"train/{name}.jpg", f"train/{name}.json")
    save(tmp_path / "preview.png", gray(3, 4))
    notes = describe_folder(tmp_path).notes
    assert f"not read: images in {tmp_path}, which have no labels" in notes
