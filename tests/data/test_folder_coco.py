import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from pictures import gray, save

from dualseg.core.errors import InputError
from dualseg.core.labels import LabelSpec, voc_palette
from dualseg.data.checking.checker import check_dataset
from dualseg.data.datasets.coco_shapes import encode_runs, paint, shape_mask
from dualseg.data.datasets.folder import describe_folder
from dualseg.data.datasets.folder_coco import runs_patch
from dualseg.data.faults import DatasetError

CATEGORIES = [{"id": 7, "name": "dog"}, {"id": 3, "name": "cat"}]
# Of a 2x4 image, row by row: 1 everywhere but in the first column.
ALL_BUT_THE_FIRST_COLUMN = [2, 6]


def _annotation(image: int, category: int, shape: Any, *, crowd: bool = False) -> dict[str, Any]:
    return {
        "image_id": image,
        "category_id": category,
        "segmentation": shape,
        "iscrowd": int(crowd),
    }


def _box(left: float, top: float, right: float, bottom: float) -> list[list[float]]:
    return [[left, top, right, top, right, bottom, left, bottom]]


def _write(file: Path, names: list[str], annotations: list[dict[str, Any]], **more: Any) -> Path:
    """Images 1, 2 and so on, of 2x4 pixels."""
    images = [
        {"id": number, "file_name": name, "height": 2, "width": 4}
        for number, name in enumerate(names, start=1)
    ]
    file.parent.mkdir(parents=True, exist_ok=True)
    content = {"images": images, "annotations": annotations, "categories": CATEGORIES, **more}
    file.write_text(json.dumps(content))
    return file


def _folder(root: Path, *annotations: dict[str, Any], **more: Any) -> Path:
    """a.png and b.png, held out for train and val."""
    for name in ("a.png", "b.png"):
        save(root / "images" / name, gray(2, 4))
    _write(root / "annotations" / "all.json", ["a.png", "b.png"], list(annotations), **more)
    return root


def _drawn(root: Path) -> dict[str, list[list[int]]]:
    description = describe_folder(root)
    opened = [description.open(split) for split in description.splits]
    return {s.name(i): s.label_map(i).tolist() for s in opened for i in range(len(s))}


def test_classes_follow_the_category_ids_and_later_annotations_lie_on_top(tmp_path: Path) -> None:
    first = _annotation(1, 7, _box(0, 0, 3, 2))
    second = _annotation(1, 3, _box(2, 0, 4, 1))
    root = _folder(tmp_path, first, second)
    assert describe_folder(root).labels.class_names == ("background", "cat", "dog")
    assert _drawn(root) == {"a": [[2, 2, 1, 1], [2, 2, 2, 0]], "b": [[0, 0, 0, 0]] * 2}
    assert "all.json: 1 images without annotations" in describe_folder(root).notes


@pytest.mark.parametrize("packed", [False, True])
def test_runs_go_down_the_columns_in_both_spellings(tmp_path: Path, packed: bool) -> None:
    runs = ALL_BUT_THE_FIRST_COLUMN
    shape = {"size": [2, 4], "counts": encode_runs(runs) if packed else runs}
    assert _drawn(_folder(tmp_path, _annotation(1, 3, shape)))["a"] == [[0, 1, 1, 1]] * 2


def test_crowds_are_ignored_beneath_what_is_drawn_by_itself(tmp_path: Path) -> None:
    cat = _annotation(1, 3, _box(0, 0, 2, 2))
    crowd = {"size": [2, 4], "counts": ALL_BUT_THE_FIRST_COLUMN}
    root = _folder(tmp_path, cat, _annotation(1, 7, crowd, crowd=True))
    assert _drawn(root)["a"] == [[1, 1, 255, 255]] * 2
    assert "all.json: 1 crowd regions are ignored" in describe_folder(root).notes


def test_what_lies_outside_of_the_image_is_cut_off(tmp_path: Path) -> None:
    root = _folder(tmp_path, _annotation(1, 3, _box(-5, 1, 2, 90)))
    assert _drawn(root)["a"] == [[0, 0, 0, 0], [1, 1, 0, 0]]


@pytest.mark.parametrize(
    ("train", "val"),
    [
        ("annotations/instances_train2017.json", "annotations/instances_val2017.json"),
        ("train/_annotations.coco.json", "valid/_annotations.coco.json"),
        ("coco_train.json", "coco_val.json"),
    ],
)
def test_splits_are_named_by_files_or_folders(tmp_path: Path, train: str, val: str) -> None:
    split = "valid" if val.startswith("valid") else "images/val2017"
    save(tmp_path / ("train" if train.startswith("train") else "train2017") / "a.png", gray(2, 4))
    save(tmp_path / split / "b.png", gray(2, 4))
    _write(tmp_path / train, ["a.png"], [_annotation(1, 3, _box(0, 0, 4, 2))])
    _write(tmp_path / val, ["b.png"], [_annotation(1, 7, _box(0, 0, 4, 2))])
    if "instances" in train:  # of the same release, without shapes
        (tmp_path / "annotations/captions_train2017.json").write_text('{"annotations": [{}]}')
    description = describe_folder(tmp_path)
    assert {s: [p.name for p in pairs] for s, pairs in description.splits.items()} == {
        "train": ["a"],
        "val": ["b"],
    }
    assert description.open("val").label_map(0).tolist() == [[2] * 4] * 2


def test_class_names_of_the_declaration_win(tmp_path: Path) -> None:
    root = _folder(tmp_path, _annotation(1, 3, _box(0, 0, 4, 2)))
    (root / "dataset.yaml").write_text("class_names: [nothing, dog, cat, cow]\n")
    assert describe_folder(root).labels.class_names == ("nothing", "dog", "cat", "cow")
    assert _drawn(root)["a"] == [[2] * 4] * 2
    (root / "dataset.yaml").write_text("class_names: [nothing, dog]\n")
    with pytest.raises(InputError, match="without a class: cat; give all of them in class_names"):
        describe_folder(root)


@pytest.mark.parametrize("text", ["values: {0: 0, 10: 1}", "ignore_index: 0", "snap: true"])
def test_values_of_the_declaration_do_not_fit_shapes(tmp_path: Path, text: str) -> None:
    root = _folder(tmp_path, _annotation(1, 3, _box(0, 0, 4, 2)))
    (root / "dataset.yaml").write_text(f"{text}\n")
    with pytest.raises(InputError, match="but the labels are COCO annotations, which have names"):
        describe_folder(root)


def test_a_network_lends_its_classes_where_all_names_are_among_them(tmp_path: Path) -> None:
    root = _folder(tmp_path, _annotation(1, 3, _box(0, 0, 4, 2)))
    known = LabelSpec(("background", "cow", "cat", "dog"), voc_palette(4))
    assert describe_folder(root, known).labels == known
    other = LabelSpec(("sky", "cat", "dog"), voc_palette(3))
    assert describe_folder(root, other).labels.class_names == ("background", "cat", "dog")


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"segmentation": []}, "a.png: it has no segmentation, only a box"),
        ({"category_id": 99}, "a.png: there is no category with id 99"),
        ({"image_id": 99}, "there is no image with id 99"),
        ({"segmentation": [[0, 0, 1, 1]]}, "a polygon is a list x, y, x, y"),
        ({"segmentation": [[0, 0, 1, 1, float("nan"), 2]]}, "a point is no number"),
        ({"segmentation": "polygon"}, "its segmentation is faulty"),
    ],
)
def test_faults_of_annotations_are_listed(
    tmp_path: Path, change: dict[str, Any], message: str
) -> None:
    faulty = {**_annotation(1, 3, _box(0, 0, 4, 2)), "id": 12, **change}
    with pytest.raises(InputError) as caught:
        describe_folder(_folder(tmp_path, faulty))
    assert caught.value.headline.endswith("all.json has 1 faults:")
    assert caught.value.problems[0].startswith("annotation 12: ")
    assert message in caught.value.problems[0]


@pytest.mark.parametrize(
    ("counts", "message"),
    [
        ([2, 5], "runs add up to 7 pixels, not to 2x4"),
        ([1 << 62, 1 << 62, 1 << 62, (1 << 62) + 8], "not to 2x4"),  # their sum overflows to 8
        ([0.5, 7.5], "whole numbers"),
        ("0\x01", "is no part of packed runs"),
    ],
)
def test_faulty_runs_are_found_by_the_check(tmp_path: Path, counts: Any, message: str) -> None:
    root = _folder(tmp_path, *[_annotation(n, 3, {"counts": counts}) for n in (1, 2)])
    with pytest.raises((DatasetError, InputError), match=message):
        check_dataset(describe_folder(root).open("train"), use_records=False)


def test_runs_of_a_transposed_image_are_refused(tmp_path: Path) -> None:
    shape = {"counts": ALL_BUT_THE_FIRST_COLUMN, "size": [4, 2]}
    root = _folder(tmp_path, *[_annotation(n, 3, shape) for n in (1, 2)])
    with pytest.raises(InputError, match=r"runs are of size \[4, 2\], the image is \[2, 4\]"):
        describe_folder(root).open("val").label_map(0)


def test_a_size_that_is_not_the_images_is_found_by_the_check(tmp_path: Path) -> None:
    root = _folder(tmp_path, _annotation(1, 3, _box(0, 0, 4, 2)))
    for name in ("a.png", "b.png"):
        save(root / "images" / name, gray(4, 2))
    with pytest.raises(DatasetError, match=r"E101.*is 4x2"):
        check_dataset(describe_folder(root).open("train"), use_records=False)


def test_a_size_that_no_image_has_takes_no_memory(tmp_path: Path) -> None:
    images = [{"id": 1, "file_name": "a.png", "height": 1 << 20, "width": 1 << 20}]
    with pytest.raises(InputError) as caught:
        describe_folder(_folder(tmp_path, images=images))
    assert "is no size of an image" in caught.value.problems[0]


def test_missing_images_and_paths_that_lead_out_are_named(tmp_path: Path) -> None:
    root = _folder(tmp_path / "data", _annotation(1, 3, _box(0, 0, 4, 2)))
    (root / "images" / "b.png").unlink()
    with pytest.raises(InputError) as caught:
        describe_folder(root)
    assert "1 of 2 images that" in caught.value.headline
    assert caught.value.problems == ("b.png",)
    save(tmp_path / "outside.png", gray(2, 4))
    images = [{"id": 1, "file_name": "../../outside.png", "height": 2, "width": 4}]
    with pytest.raises(InputError, match="leads out of"):
        describe_folder(_folder(root, images=images))


def test_several_files_of_no_split_are_refused(tmp_path: Path) -> None:
    root = _folder(tmp_path, _annotation(1, 3, _box(0, 0, 4, 2)))
    _write(root / "annotations" / "more.json", ["a.png"], [])
    with pytest.raises(InputError, match="several COCO files, but not one for each split"):
        describe_folder(root)


def test_labels_in_two_formats_are_refused_and_masks_come_first(tmp_path: Path) -> None:
    root = _folder(tmp_path, _annotation(1, 3, _box(0, 0, 4, 2)))
    (root / "annotations.xml").write_text(
        "<annotations><meta><labels><label><name>cow</name></label></labels></meta>"
        '<image name="a.png" width="4" height="2">'
        '<box label="cow" xtl="0" ytl="0" xbr="2" ybr="2"/>'
        '</image><image name="b.png" width="4" height="2"/>'
        "</annotations>"
    )
    with pytest.raises(InputError, match="labels in 2 formats: COCO JSON, CVAT XML; keep one"):
        describe_folder(root)
    for name in ("a.png", "b.png"):
        save(root / "masks" / name, [[0, 1, 2, 2]] * 2)
    assert describe_folder(root).labels.num_classes == 3


@pytest.mark.parametrize("shapes", [[], [_annotation(1, 3, _box(0, 0, 4, 2), crowd=True)]])
def test_a_file_without_shapes_is_refused_unless_its_classes_are_declared(
    tmp_path: Path, shapes: list[dict[str, Any]]
) -> None:
    root = _folder(tmp_path, *shapes)
    with pytest.raises(
        InputError, match=r"no shape of any class \(cat, dog\), so there is nothing"
    ):
        describe_folder(root)
    (root / "dataset.yaml").write_text("class_names: [background, cat, dog]\n")
    assert describe_folder(root).labels.num_classes == 3


def test_a_file_that_is_cut_off_early_is_named(tmp_path: Path) -> None:
    file = _folder(tmp_path) / "annotations" / "all.json"
    file.write_text('{"images": [{"id": 1, ')
    with pytest.raises(InputError, match=r"all\.json is no JSON .* is it cut off\?"):
        describe_folder(tmp_path)


@given(
    st.integers(1, 6),
    st.integers(1, 6),
    st.lists(st.integers(0, 12), max_size=8),
    st.booleans(),
)
def test_runs_in_their_box_draw_the_pixels_of_the_whole_mask(
    height: int, width: int, some: list[int], is_packed: bool
) -> None:
    size, total = (height, width), height * width
    ends = np.minimum(np.cumsum([0, *some]), total)
    runs = np.diff(ends, append=total).tolist()  # runs of no pixel are among them
    shape = {"size": list(size), "counts": encode_runs(runs) if is_packed else np.array(runs)}
    drawn = np.zeros(size, np.bool_)
    patch = runs_patch(shape, size)
    paint(drawn, patch, True)
    wanted = shape_mask(shape, size)
    assert np.array_equal(drawn, wanted)
    if patch is not None:  # no larger than the pixels
        assert patch.mask[[0, -1]].any(axis=1).all()
        assert patch.mask[:, [0, -1]].any(axis=0).all()
    assert (patch is None) == (not wanted.any())


@pytest.mark.parametrize(
    "shape",
    [
        {"size": [2, 4], "counts": [2, 5]},
        {"size": [2, 4], "counts": [2, 9, -3]},
        {"size": [2, 4], "counts": [2, 5.5, 0.5]},
        {"size": [2, 4], "counts": [[2, 6]]},
        {"size": [2, 4], "counts": [1 << 62, 1 << 62, 1 << 62, 1 << 62]},
        {"size": [4, 2], "counts": [2, 6]},
        {"size": [2, 4], "counts": []},
    ],
)
def test_runs_that_fill_no_image_are_refused_as_those_of_a_whole_mask(shape: dict) -> None:
    with pytest.raises(ValueError, match=r"^runs ") as plain:
        shape_mask(shape, (2, 4))
    with pytest.raises(ValueError, match=r"^runs ") as boxed:
        runs_patch(shape, (2, 4))
    assert str(boxed.value) == str(plain.value)
