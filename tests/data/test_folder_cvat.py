import tracemalloc
from pathlib import Path

import pytest
from pictures import gray, save

from dualseg.core.errors import InputError
from dualseg.data.dataset import count_values
from dualseg.data.datasets.folder import describe_folder
from dualseg.data.loading.cache import cached

META = (
    "<meta><task><labels>"
    "<label><name>dog</name><color>#c80000</color></label>"
    "<label><name>cat</name><color>#0000c8</color></label>"
    "</labels></task></meta>"
)


def _image(name: str, *shapes: str, subset: str = "") -> str:
    inner = "".join(shapes)
    return f'<image id="0" name="{name}" subset="{subset}" width="4" height="3">{inner}</image>'


def _shape(kind: str, label: str, rest: str) -> str:
    return f'<{kind} label="{label}" occluded="0" {rest}><attribute name="x">y</attribute></{kind}>'


def _folder(root: Path, *shapes: str, start: str = "", meta: str = META) -> Path:
    for name in ("a.png", "b.png"):
        save(root / "images" / name, gray(3, 4))
    images = _image("a.png", *shapes) + _image("b.png", *shapes)
    (root / "annotations.xml").write_text(f"{start}<annotations>{meta}{images}</annotations>")
    return root


def _drawn(root: Path) -> list[list[int]]:
    return describe_folder(root).open("val").label_map(0).tolist()


POLYGON = _shape("polygon", "dog", 'points="0,0;3.0,0;3,2.0;0,2" z_order="0"')
BOX = _shape("box", "cat", 'xtl="2" ytl="0" xbr="9" ybr="1" z_order="0"')


def test_later_shapes_lie_on_top_and_classes_keep_the_order_of_the_labels(tmp_path: Path) -> None:
    description = describe_folder(_folder(tmp_path, POLYGON, BOX))
    assert description.labels.class_names == ("background", "dog", "cat")
    assert description.labels.palette == ((0, 0, 0), (200, 0, 0), (0, 0, 200))
    assert _drawn(tmp_path) == [[1, 1, 2, 2], [1, 1, 1, 0], [0, 0, 0, 0]]


def test_a_higher_z_order_lies_on_top_of_later_shapes(tmp_path: Path) -> None:
    raised = POLYGON.replace('z_order="0"', 'z_order="1"')
    assert _drawn(_folder(tmp_path, raised, BOX)) == [[1, 1, 1, 2], [1, 1, 1, 0], [0, 0, 0, 0]]


def test_a_mask_has_runs_along_the_rows_of_its_box(tmp_path: Path) -> None:
    # 0 1 1
    # 1 0 0
    mask = _shape("mask", "cat", 'rle="1, 3, 2" left="1" top="1" width="3" height="2"')
    assert _drawn(_folder(tmp_path, mask)) == [[0, 0, 0, 0], [0, 0, 2, 2], [0, 2, 0, 0]]


def test_a_mask_beyond_the_border_is_cut_off(tmp_path: Path) -> None:
    # 1 0 1        0 1 lie within
    # 0 1 1        1 1
    mask = _shape("mask", "cat", 'rle="0, 1, 1, 1, 1, 2" left="-1" top="2" width="3" height="2"')
    assert _drawn(_folder(tmp_path, mask)) == [[0, 0, 0, 0], [0, 0, 0, 0], [0, 2, 0, 0]]


def test_a_box_turned_by_ninety_degrees_stands(tmp_path: Path) -> None:
    lying = 'xtl="0" ytl="1" xbr="3" ybr="2" rotation="90.0"'
    assert _drawn(_folder(tmp_path, _shape("box", "cat", lying))) == [[0, 2, 0, 0]] * 3


def test_an_ellipse_covers_the_pixels_within(tmp_path: Path) -> None:
    ellipse = _shape("ellipse", "cat", 'cx="2" cy="1.5" rx="2" ry="0.8"')
    assert _drawn(_folder(tmp_path, ellipse)) == [[0, 0, 0, 0], [2, 2, 2, 2], [0, 0, 0, 0]]


def test_shapes_named_ignore_are_ignored(tmp_path: Path) -> None:
    root = _folder(tmp_path, POLYGON.replace("dog", "__ignore__"), BOX)
    assert _drawn(root)[0] == [255, 255, 2, 2]
    assert "ignored: 2 shapes named __ignore__" in describe_folder(root).notes


def test_subsets_are_splits(tmp_path: Path) -> None:
    for name, folder in (("a.png", "Train"), ("b.png", "Validation")):
        save(tmp_path / "images" / folder / name, gray(3, 4))
    images = _image("a.png", POLYGON, subset="Train")
    images += _image("b.png", BOX, subset="Validation")
    (tmp_path / "annotations.xml").write_text(f"<annotations>{META}{images}</annotations>")
    splits = describe_folder(tmp_path).splits
    assert {s: [p.image.parent.name for p in pairs] for s, pairs in splits.items()} == {
        "train": ["Train"],
        "val": ["Validation"],
    }


def _subsets(root: Path, **subset_of: str) -> Path:
    for name, subset in subset_of.items():
        save(root / "images" / subset / f"{name}.png", gray(3, 4))
    images = "".join(_image(f"{n}.png", POLYGON, subset=s) for n, s in subset_of.items())
    (root / "annotations.xml").write_text(f"<annotations>{META}{images}</annotations>")
    return root


def _names(root: Path) -> dict[str, list[str]]:
    return {s: [p.name for p in pairs] for s, pairs in describe_folder(root).splits.items()}


def test_a_subset_of_another_name_is_a_split_of_its_own(tmp_path: Path) -> None:
    root = _subsets(tmp_path, a="Train", b="Train", c="Train", d="eval", e="fold1", f="fold1")
    found = _names(root)
    assert sorted(found["train"] + found["val"]) == ["a", "b", "c"]
    assert (found["eval"], found["fold1"]) == (["d"], ["e", "f"])
    assert (
        describe_folder(root)
        .notes[0]
        .endswith("1 eval, 2 fold1; val is held out by a hash of the name")
    )
    assert len(describe_folder(root).open("eval")) == 1


def test_a_default_subset_says_no_split(tmp_path: Path) -> None:
    for name in ("a", "b"):
        save(tmp_path / f"images/{name}.png", gray(3, 4))
    root = _subsets(tmp_path, a="", b="default", c="test2017")
    assert {split: len(names) for split, names in _names(root).items()} == {
        "train": 1,
        "val": 1,
        "test": 1,
    }


def test_without_train_and_val_the_splits_are_named(tmp_path: Path) -> None:
    description = describe_folder(_subsets(tmp_path, a="one", b="two"))
    assert description.notes[0] == "images: 1 one, 1 two"
    with pytest.raises(InputError, match=r"has no split 'train'.*one, two"):
        description.open("train")


@pytest.mark.parametrize(
    "start",
    [
        '<!DOCTYPE a [<!ENTITY x "xxxxxxxxxx"><!ENTITY y "&x;&x;&x;&x;">]>',
        '<!DOCTYPE a SYSTEM "http://localhost/evil.dtd">',
        '<!DOCTYPE a [<!ENTITY x SYSTEM "file:///etc/passwd">]>',
    ],
)
def test_document_types_and_entities_are_refused(tmp_path: Path, start: str) -> None:
    with pytest.raises(InputError, match="declares a document type or entities"):
        describe_folder(_folder(tmp_path, POLYGON, start=start))


@pytest.mark.parametrize(
    ("shape", "message"),
    [
        (_shape("polyline", "cat", 'points="0,0;3,3"'), "a.png: a polyline covers no area"),
        (_shape("polygon", "cat", 'points="0,0;3,3"'), "three points or more"),
        (_shape("polygon", "cat", 'points="0,0;3,nan;1,1"'), "a point is no number"),
        (_shape("polygon", "cat", 'z_order="0"'), "polygon has no points"),
        (_shape("mask", "cat", 'rle="1, 3" left="1" top="1" width="3" height="2"'), "do not fill"),
        (_shape("mask", "cat", 'rle="1" left="0" top="0" width="99999" height="99999"'), "no size"),
    ],
)
def test_faults_of_shapes_are_listed_with_their_line(
    tmp_path: Path, shape: str, message: str
) -> None:
    with pytest.raises(InputError) as caught:
        describe_folder(_folder(tmp_path, shape, start="\n"))
    assert caught.value.headline.endswith("annotations.xml has 2 faults:")
    assert caught.value.problems[0].startswith("line 2: ")
    assert message in caught.value.problems[0]


def test_a_file_of_videos_and_one_that_is_cut_off_are_refused(tmp_path: Path) -> None:
    root = _folder(tmp_path, POLYGON, meta=META + '<track id="0" label="cat"></track>')
    with pytest.raises(InputError, match='export it as "CVAT for images"'):
        describe_folder(root)
    (root / "annotations.xml").write_text(f"<annotations>{META}")
    with pytest.raises(InputError, match=r"is no XML .*cut off"):
        describe_folder(root)


def test_boxes_of_pascal_voc_are_no_cvat_file(tmp_path: Path) -> None:
    save(tmp_path / "images" / "a.png", gray())
    (tmp_path / "annotations").mkdir()
    (tmp_path / "annotations" / "a.xml").write_text("<annotation><object/></annotation>")
    with pytest.raises(InputError, match="holds no picture"):
        describe_folder(tmp_path)


def test_a_huge_size_takes_no_memory(tmp_path: Path) -> None:
    root = _folder(tmp_path, POLYGON)
    text = (root / "annotations.xml").read_text().replace('width="4"', 'width="999999999"')
    (root / "annotations.xml").write_text(text)
    tracemalloc.start()
    with pytest.raises(InputError, match=r"annotations.xml has 2 faults"):
        describe_folder(root)
    assert tracemalloc.get_traced_memory()[1] < 10e6
    tracemalloc.stop()


def _same_name_in_two_subsets(root: Path) -> Path:
    images = _image("a.png", POLYGON, subset="Train") + _image("a.png", BOX, subset="Validation")
    (root / "annotations.xml").write_text(f"<annotations>{META}{images}</annotations>")
    return root


def test_a_name_in_two_subsets_has_the_shapes_of_each(tmp_path: Path) -> None:
    """Read from the folder and from the disk cache."""
    for folder in ("Train", "Validation"):
        save(tmp_path / "images" / folder / "a.png", gray(3, 4))
    description = describe_folder(_same_name_in_two_subsets(tmp_path))
    both = [description.open("train"), description.open("val")]
    expected = [{0: 6, 1: 6}, {0: 10, 2: 2}]
    assert [count_values(dataset.label_map(0)) for dataset in both] == expected
    stored = cached(both, "disk", tmp_path / "cache")
    for _ in range(2):
        assert [count_values(dataset.label_map(0)) for dataset in stored] == expected


def test_two_subsets_that_name_one_picture_are_refused(tmp_path: Path) -> None:
    save(tmp_path / "images/a.png", gray(3, 4))
    with pytest.raises(
        InputError, match="1 pictures are found for several of its images"
    ) as caught:
        describe_folder(_same_name_in_two_subsets(tmp_path))
    assert caught.value.problems == (str(tmp_path / "images/a.png"),)
