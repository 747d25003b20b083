from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pytest
from pictures import gray, save, save_palette
from PIL import Image

from dualseg.core.errors import InputError
from dualseg.core.labels import LabelSpec, voc_palette
from dualseg.data.datasets.folder import FolderDescription, describe_folder
from dualseg.data.datasets.streets import STREETS_LABELS


def _add(folder: Path, masks: Path, name: str, values: Sequence[int], suffix: str = "") -> None:
    """An image and a mask of one row."""
    save(folder / f"{name}.jpg", gray(1, len(values)))
    wide = max(values) > 255
    save(masks / f"{name}{suffix}.png", [list(values)], np.uint16 if wide else np.uint8)


def _flat(root: Path, *values: Sequence[int], count: int = 5) -> Path:
    """images/ and masks/; the rows of values are dealt out to the masks in turn."""
    for index in range(count):
        _add(root / "images", root / "masks", f"f{index}", values[index % len(values)])
    return root


def _names(description: FolderDescription, split: str) -> list[str]:
    return [pair.name for pair in description.splits[split]]


def _note(description: FolderDescription, start: str) -> str:
    return next(note for note in description.notes if note.startswith(start))


def _snapshot(root: Path) -> dict[str, bytes]:
    return {str(path): path.read_bytes() for path in root.rglob("*") if path.is_file()}


# --- which files ---------------------------------------------------------------------------------


@pytest.mark.parametrize("images", ["images", "image", "imgs", "img", "JPEGImages", "Images"])
@pytest.mark.parametrize(
    "masks", ["masks", "mask", "labels", "label", "annotations", "gt", "SegmentationClass"]
)
def test_usual_names_of_folders_are_known(tmp_path: Path, images: str, masks: str) -> None:
    for name in ("a", "b"):
        _add(tmp_path / images, tmp_path / masks, name, (0, 1))
    assert {len(pairs) for pairs in describe_folder(tmp_path).splits.values()} == {1}


@pytest.mark.parametrize("val", ["val", "valid", "validation"])
@pytest.mark.parametrize("split_inside", [True, False])
def test_split_folders_inside_and_outside_are_known(
    tmp_path: Path, val: str, split_inside: bool
) -> None:
    for split, name in (("train", "a"), ("train", "b"), (val, "c")):
        kinds = [f"images/{split}", f"masks/{split}"]
        if not split_inside:
            kinds = [f"{split}/images", f"{split}/masks"]
        _add(tmp_path / kinds[0], tmp_path / kinds[1], name, (0, 1))
    description = describe_folder(tmp_path)
    assert _names(description, "train") == ["a", "b"]
    assert _names(description, "val") == ["c"]
    assert description.open("validation").split == "val"
    assert "images: 2 train, 1 val" in description.notes


@pytest.mark.parametrize("suffix", ["_mask", "_label", "_labels", "_gt"])
def test_masks_may_carry_a_suffix(tmp_path: Path, suffix: str) -> None:
    for name in ("a", "b"):
        _add(tmp_path / "images", tmp_path / "masks", name, (0, 1), suffix)
    train = describe_folder(tmp_path).open("train")
    assert train.label_path(0) == tmp_path / "masks" / f"{train.name(0)}{suffix}.png"


def test_an_image_whose_own_name_ends_like_a_mask_keeps_its_mask(tmp_path: Path) -> None:
    for name in ("a", "a_gt"):
        _add(tmp_path / "images", tmp_path / "masks", name, (0, 1))
    splits = describe_folder(tmp_path).splits
    assert {pair.label.stem for pairs in splits.values() for pair in pairs} == {"a", "a_gt"}


def test_without_split_folders_a_fifth_is_held_out_the_same_way_every_time(
    tmp_path: Path,
) -> None:
    description = describe_folder(_flat(tmp_path, (0, 1), count=20))
    train, val = _names(description, "train"), _names(description, "val")
    assert (len(train), len(val)) == (14, 6)
    assert sorted(train + val) == sorted(f"f{index}" for index in range(20))
    assert describe_folder(tmp_path).splits == description.splits
    assert val == ["f1", "f10", "f11", "f13", "f16", "f2"]  # fixed: other splits would not compare
    assert f"{len(val)} of 20 images are held out" in _note(description, "split:")


def test_images_that_are_added_move_no_other(tmp_path: Path) -> None:
    few = describe_folder(_flat(tmp_path, (0, 1), count=20))
    many = describe_folder(_flat(tmp_path, (0, 1), count=150))
    assert set(_names(few, "val")) <= set(_names(many, "val"))
    assert set(_names(few, "train")) <= set(_names(many, "train"))
    assert 0.1 < len(_names(many, "val")) / 150 < 0.3


def test_two_images_are_one_for_each_split(tmp_path: Path) -> None:
    description = describe_folder(_flat(tmp_path, (0, 1), count=2))
    assert len(description.open("train")) == len(description.open("val")) == 1


@pytest.mark.parametrize(
    ("names", "val"),
    [(("f3", "f4", "f5"), ["f5"]), (("f1", "f2"), ["f1"])],  # all above the threshold, all below
)
def test_no_part_is_left_empty(tmp_path: Path, names: Sequence[str], val: list[str]) -> None:
    for name in names:
        _add(tmp_path / "images", tmp_path / "masks", name, (0, 1))
    description = describe_folder(tmp_path)
    assert _names(description, "val") == val
    assert _names(description, "train") == [name for name in names if name not in val]


def test_one_image_cannot_be_split(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="one image, which cannot be split"):
        describe_folder(_flat(tmp_path, (0, 1), count=1))


def test_train_alone_gives_up_a_part_for_val(tmp_path: Path) -> None:
    for index in range(5):
        _add(tmp_path / "images/train", tmp_path / "masks/train", f"f{index}", (0, 1))
    description = describe_folder(tmp_path)
    assert (len(description.open("train")), len(description.open("val"))) == (3, 2)


def test_a_test_split_without_masks_is_left_out_with_a_note(tmp_path: Path) -> None:
    for split in ("train", "val"):
        _add(tmp_path / "images" / split, tmp_path / "masks" / split, "a", (0, 1))
    save(tmp_path / "images/test/x.png", gray())
    description = describe_folder(tmp_path)
    assert list(description.splits) == ["train", "val"]
    assert "has no masks and is left out" in _note(description, "split:")


def test_a_val_split_without_masks_is_a_fault(tmp_path: Path) -> None:
    _add(tmp_path / "images/train", tmp_path / "masks/train", "a", (0, 1))
    save(tmp_path / "images/val/x.png", gray())
    with pytest.raises(InputError, match=r"images/val has no counterpart in .*found train/"):
        describe_folder(tmp_path)


def test_an_unknown_split_gets_a_hint(tmp_path: Path) -> None:
    description = describe_folder(_flat(tmp_path, (0, 1)))
    with pytest.raises(InputError, match=r"no split 'tran'; did you mean train\?"):
        description.open("tran")


def test_every_file_without_a_partner_is_counted_at_once(tmp_path: Path) -> None:
    _flat(tmp_path, (0, 1))
    for index in range(7):
        save(tmp_path / "images" / f"lonely{index}.png", gray())
    save(tmp_path / "masks" / "stray.png", [[0, 1]])
    save(tmp_path / "images" / "f1.png", gray())
    save(tmp_path / "masks" / "f2_mask.png", [[0, 1]])
    with pytest.raises(InputError) as caught:
        describe_folder(tmp_path)
    missing, alone, doubled = caught.value.problems
    assert missing.startswith("7 images have no mask in masks: images/lonely0.png, ")
    assert missing.endswith("images/lonely4.png, ... and 2 more")
    assert alone == "1 masks have no image in images: masks/stray.png"
    assert doubled == (
        "4 files share their name with another one: "
        "images/f1.jpg, images/f1.png, masks/f2.png, masks/f2_mask.png"
    )


def test_faults_of_both_splits_are_listed_at_once(tmp_path: Path) -> None:
    for split in ("train", "val"):
        _add(tmp_path / "images" / split, tmp_path / "masks" / split, "a", (0, 1))
        save(tmp_path / "images" / split / f"{split}_extra.png", gray())
    with pytest.raises(InputError) as caught:
        describe_folder(tmp_path)
    assert len(caught.value.problems) == 2


def test_a_folder_without_masks_says_what_was_looked_for_and_found(tmp_path: Path) -> None:
    save(tmp_path / "images" / "a.png", gray())
    (tmp_path / "notes.txt").touch()
    with pytest.raises(InputError) as caught:
        describe_folder(tmp_path)
    message = str(caught.value)
    assert "has no mask folder (looked for masks, mask, labels" in message
    assert "found images/, 1 files with .txt" in message
    assert "no image folder" not in message


def test_an_empty_folder_is_called_empty(tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"no image folder .* and no mask folder .*it is empty"):
        describe_folder(tmp_path)


def test_folders_without_pictures_say_what_they_hold(tmp_path: Path) -> None:
    (tmp_path / "images").mkdir()
    (tmp_path / "masks").mkdir()
    (tmp_path / "masks" / "a.gif").touch()
    with pytest.raises(InputError) as caught:
        describe_folder(tmp_path)
    assert caught.value.problems == (
        "images holds no picture; it is empty",
        "masks holds no picture; found 1 files with .gif",
    )


def test_two_mask_folders_with_pictures_are_ambiguous(tmp_path: Path) -> None:
    _flat(tmp_path, (0, 1))
    save(tmp_path / "labels" / "a.png", [[0]])
    with pytest.raises(InputError, match="holds labels and masks, which mean the same"):
        describe_folder(tmp_path)


def test_of_two_mask_folders_the_one_with_pictures_counts(tmp_path: Path) -> None:
    _flat(tmp_path, (0, 1))
    (tmp_path / "annotations").mkdir()
    (tmp_path / "annotations" / "a.xml").touch()
    assert len(describe_folder(tmp_path).open("train")) == 3


def test_hidden_and_other_files_are_passed_over(tmp_path: Path) -> None:
    _flat(tmp_path, (0, 1))
    (tmp_path / "images" / "._f0.jpg").write_bytes(b"mac")
    (tmp_path / "images" / "Thumbs.db").touch()
    (tmp_path / "images" / "more").mkdir()
    description = describe_folder(tmp_path)
    assert len(description.open("train")) == 3
    assert "sub-folders more of" in _note(description, "not read:")


def test_nothing_is_written_into_the_folder(tmp_path: Path) -> None:
    _flat(tmp_path, (0, 1))
    before = _snapshot(tmp_path)
    description = describe_folder(tmp_path)
    description.open("train").label_map(0)
    assert _snapshot(tmp_path) == before


# --- which classes -------------------------------------------------------------------------------


def test_0_and_255_are_background_and_foreground_and_nothing_is_ignored(tmp_path: Path) -> None:
    description = describe_folder(_flat(tmp_path, (0, 255, 255)))
    assert description.labels.values == {0: 0, 255: 1}
    assert description.labels.class_names == ("background", "foreground")
    assert description.open("val").label_map(0).tolist() == [[0, 1, 1]]
    assert "no value is ignored" in _note(description, "label values:")


def test_the_foreground_counts_even_where_a_mask_holds_nothing_else(tmp_path: Path) -> None:
    description = describe_folder(_flat(tmp_path, (0, 0), (255, 255)))
    assert description.labels.values == {0: 0, 255: 1}


def test_a_one_bit_mask_is_background_and_foreground(tmp_path: Path) -> None:
    for name in ("a", "b"):
        save(tmp_path / "images" / f"{name}.jpg", gray(1, 2))
        (tmp_path / "masks").mkdir(exist_ok=True)
        Image.fromarray(np.array([[False, True]])).save(tmp_path / "masks" / f"{name}.png")
    labels = describe_folder(tmp_path).labels
    assert labels.class_names == ("background", "foreground")
    assert (labels.values[0], labels.values[1]) == (0, 1)


def test_ids_from_0_on_stay_and_255_is_ignored(tmp_path: Path) -> None:
    description = describe_folder(_flat(tmp_path, (0, 1, 255, 255), (2, 0, 1, 2)))
    labels = description.labels
    assert labels.values == {0: 0, 1: 1, 2: 2, 255: 255}
    assert labels.class_names == ("class_0", "class_1", "class_2")
    # Three masks of the first kind and two of the second: 6 of 20 pixels.
    assert _note(description, "ignored:") == "ignored: label value 255 (30.0 % of all pixels)"


def test_ids_from_1_on_are_moved_down(tmp_path: Path) -> None:
    description = describe_folder(_flat(tmp_path, (1, 2, 3)))
    assert description.labels.values == {1: 0, 2: 1, 3: 2, 255: 255}
    assert description.open("train").label_map(0).tolist() == [[0, 1, 2]]
    assert "1 to 3 become class ids from 0 on" in _note(description, "label values:")


def test_a_class_that_is_missing_in_between_keeps_its_id(tmp_path: Path) -> None:
    description = describe_folder(_flat(tmp_path, (0, 1, 3)))
    assert description.labels.num_classes == 4
    assert "no pixel has the label values 2" in description.notes


def test_classes_are_the_same_in_train_and_val(tmp_path: Path) -> None:
    _add(tmp_path / "images/train", tmp_path / "masks/train", "a", (0, 1, 2))
    _add(tmp_path / "images/val", tmp_path / "masks/val", "b", (0, 0, 4))
    description = describe_folder(tmp_path)
    assert description.open("train").labels is description.open("val").labels
    assert description.labels.num_classes == 5


@pytest.mark.parametrize("values", [(0, 128), (0, 3, 6), (0, 85, 170, 255), (0, 1, 1000), (7, 11)])
def test_gaps_as_gray_levels_have_them_are_refused(tmp_path: Path, values: Sequence[int]) -> None:
    with pytest.raises(InputError) as caught:
        describe_folder(_flat(tmp_path, values))
    assert "with gaps as gray levels have them" in str(caught.value)
    assert "f0.png" in str(caught.value)
    assert "values: {0: 0, 10: 1, 99: 255}" in str(caught.value)


def test_more_than_40_values_are_refused(tmp_path: Path) -> None:
    assert describe_folder(_flat(tmp_path / "ok", range(40))).labels.num_classes == 40
    with pytest.raises(InputError, match=r"hold 41 different values .*dataset\.yaml"):
        describe_folder(_flat(tmp_path / "many", range(41)))


@pytest.mark.parametrize("values", [(0, 0), (1, 1), (1, 255)])
def test_a_single_class_is_refused(tmp_path: Path, values: Sequence[int]) -> None:
    with pytest.raises(InputError, match="one class only"):
        describe_folder(_flat(tmp_path, values))


def test_masks_that_cannot_be_read_are_listed(tmp_path: Path) -> None:
    _flat(tmp_path, (0, 1), count=9)
    for index in range(8):
        save(tmp_path / "masks" / f"f{index}.png", np.full((4, 6, 3), (200, 0, 0)))
    with pytest.raises(InputError) as caught:
        describe_folder(tmp_path)
    assert "colour picture" in caught.value.problems[0]
    assert caught.value.headline == "8 masks cannot be read:"
    assert caught.value.problems[-1] == "... and 3 more"


def test_the_palette_is_that_of_the_masks(tmp_path: Path) -> None:
    colors = [(9, 8, 7), (200, 0, 0), (0, 0, 200)]
    for name in ("a", "b"):
        save(tmp_path / "images" / f"{name}.jpg", gray(1, 3))
        save_palette(tmp_path / "masks" / f"{name}.png", [[0, 1, 2]], colors)
    description = describe_folder(tmp_path)
    assert description.labels.palette == tuple(colors)
    assert _note(description, "palette:").startswith("palette: of ")


def test_a_palette_of_grays_is_not_taken(tmp_path: Path) -> None:
    for name in ("a", "b"):
        save(tmp_path / "images" / f"{name}.jpg", gray(1, 3))
        save_palette(tmp_path / "masks" / f"{name}.png", [[0, 1, 2]], [(i, i, i) for i in range(9)])
    assert describe_folder(tmp_path).labels.palette == voc_palette(3)


def test_without_a_palette_the_colours_are_vocs(tmp_path: Path) -> None:
    description = describe_folder(_flat(tmp_path, (0, 1, 2)))
    assert description.labels.palette == voc_palette(3)
    assert "palette: PASCAL VOC's colours" in description.notes


def test_notes_tell_classes_ignored_value_palette_and_sizes(tmp_path: Path) -> None:
    notes = describe_folder(_flat(tmp_path, (0, 1, 2, 255))).notes
    starts = [note.split(":")[0] for note in notes]
    assert starts == ["split", "images", "classes", "label values", "ignored", "palette"]
    assert "classes: 3 (class_0, class_1, class_2)" in notes


# --- the classes of a network --------------------------------------------------------------------

ANIMALS = LabelSpec(
    ("cat", "dog", "cow"), ((1, 1, 1), (2, 2, 2), (3, 3, 3)), {0: 0, 10: 1, 20: 2, 255: 255}
)
TWO = LabelSpec(("off", "on"), ((0, 0, 0), (9, 9, 9)))


@pytest.mark.parametrize("row", [(0, 10), (0, 0), (20, 255)])
def test_values_mean_what_they_mean_to_the_network(tmp_path: Path, row: Sequence[int]) -> None:
    description = describe_folder(_flat(tmp_path, row), ANIMALS)
    assert description.labels is ANIMALS
    assert "labels: as the network was trained" in description.notes
    expected = [ANIMALS.values[value] for value in row]
    assert description.open("val").label_map(0).tolist() == [expected]


def test_values_the_network_does_not_know_are_inferred(tmp_path: Path) -> None:
    assert describe_folder(_flat(tmp_path, (0, 1, 2)), ANIMALS).labels.values[2] == 2


def test_a_drawn_foreground_is_not_ignored_for_a_network_of_two_classes(tmp_path: Path) -> None:
    assert describe_folder(_flat(tmp_path, (0, 255)), TWO).labels.values == {0: 0, 255: 1}
    of_drawn_masks = LabelSpec(TWO.class_names, TWO.palette, {0: 0, 255: 1})
    assert describe_folder(tmp_path, of_drawn_masks).labels is of_drawn_masks


def test_what_dataset_yaml_says_counts_more_than_the_network(tmp_path: Path) -> None:
    _flat(tmp_path, (0, 10))
    (tmp_path / "dataset.yaml").write_text("values: {0: 1, 10: 0}\n")
    assert describe_folder(tmp_path, ANIMALS).labels.values[10] == 0


# --- dataset.yaml --------------------------------------------------------------------------------


def _declare(root: Path, text: str) -> LabelSpec:
    (root / "dataset.yaml").write_text(text)
    return describe_folder(root).labels


def test_values_of_dataset_yaml_win(tmp_path: Path) -> None:
    _flat(tmp_path, (0, 128, 255))
    labels = _declare(
        tmp_path,
        "class_names: [road, car]\npalette: [[1, 2, 3], [4, 5, 6]]\n"
        "values: {0: 0, 128: 1}\nignore_index: 255\n",
    )
    assert labels == LabelSpec(("road", "car"), ((1, 2, 3), (4, 5, 6)), {255: 255, 0: 0, 128: 1})
    assert describe_folder(tmp_path).open("train").label_map(0).tolist() == [[0, 1, 255]]


def test_names_alone_go_with_inferred_values(tmp_path: Path) -> None:
    _flat(tmp_path, (0, 255))
    assert _declare(tmp_path, "class_names: [sky, ground]").values == {0: 0, 255: 1}
    assert describe_folder(tmp_path).labels.class_names == ("sky", "ground")


def test_names_alone_allow_classes_that_do_not_occur(tmp_path: Path) -> None:
    labels = _declare(_flat(tmp_path, (0, 1)), "class_names: [a, b, c, d]")
    assert labels.values == {0: 0, 1: 1, 2: 2, 3: 3, 255: 255}


def test_names_alone_fit_ids_from_1_on(tmp_path: Path) -> None:
    labels = _declare(_flat(tmp_path, (1, 2, 3)), "class_names: [a, b, c]")
    assert labels.values == {1: 0, 2: 1, 3: 2, 255: 255}


def test_names_alone_lift_the_limit_of_40(tmp_path: Path) -> None:
    names = ", ".join(f"c{index}" for index in range(60))
    assert _declare(_flat(tmp_path, range(60)), f"class_names: [{names}]").num_classes == 60


@pytest.mark.parametrize(
    ("ignore", "row", "expected"),
    [
        (0, (0, 1, 2), {1: 0, 2: 1, 0: 255}),
        (2, (0, 1, 2), {0: 0, 1: 1, 2: 255}),
        (255, (0, 1, 255), {0: 0, 1: 1, 255: 255}),
    ],
)
def test_the_ignored_value_can_be_another_one(
    tmp_path: Path, ignore: int, row: Sequence[int], expected: dict[int, int]
) -> None:
    labels = _declare(_flat(tmp_path, row), f"ignore_index: {ignore}")
    assert labels.values == expected
    assert labels.ignore_index == 255


def test_0_and_255_with_255_ignored_is_a_single_class_and_refused(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="one class only"):
        _declare(_flat(tmp_path, (0, 255)), "ignore_index: 255")


def test_an_ignored_value_among_the_classes_is_refused(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="ignore_index 1 lies among the label values 0 to 2"):
        _declare(_flat(tmp_path, (0, 1, 2)), "ignore_index: 1")


def test_all_faults_of_dataset_yaml_are_listed_at_once(tmp_path: Path) -> None:
    with pytest.raises(InputError) as caught:
        _declare(
            _flat(tmp_path, (0, 1)),
            "class_name: [a]\nclass_names: [yes, b]\npalette: [[0, 0, 300]]\n"
            "ignore_index: [1]\nvalues: {a: 0}\n",
        )
    assert "dataset.yaml has 5 faults" in caught.value.headline
    starts = [problem.split(":")[0] for problem in caught.value.problems]
    assert starts == ["class_name", "class_names", "palette", "ignore_index", "values"]
    assert "did you mean class_names?" in caught.value.problems[0]


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("class_names: [a, a]", "a stands twice"),
        ("class_names: [a]", "1 classes; allowed are 2 to 255"),
        ("class_names: [a, b]\npalette: [[0, 0, 0]]", "1 colours for 2 classes"),
        ("class_names: [a, b]\nvalues: {0: 0, 9: 1, 8: 2}", "class ids 2 have no name"),
        ("values: {0: 0, 9: 255}", "1 classes stand in it"),
        ("values: {0: 0, 9: 1, 7: 0}\nignore_index: 7", "7 is ignored, but values makes it class"),
        ("palette: [[0, 0, 0], [1, 1, 1], [2, 2, 2]]", "3 colours, the masks have 2 classes"),
        ("values: 3", "expected a mapping"),
        ("- a", "expected a mapping of keys"),
    ],
)
def test_each_fault_of_dataset_yaml_is_explained(tmp_path: Path, text: str, message: str) -> None:
    with pytest.raises(InputError, match=message):
        _declare(_flat(tmp_path, (0, 1)), text)


@pytest.mark.parametrize(
    "labels",
    [
        STREETS_LABELS,
        LabelSpec(("background", "foreground"), ((0, 0, 0), (9, 9, 9)), {0: 0, 255: 1}),
        LabelSpec(("a", "b"), ((0, 0, 0), (9, 9, 9)), {3: 0, 4: 1, 11: 255}),
    ],
)
def test_a_label_spec_written_as_dataset_yaml_comes_back(tmp_path: Path, labels: LabelSpec) -> None:
    read = _declare(_flat(tmp_path, (0, 1)), str(labels.to_dict()))
    assert (read.class_names, read.palette) == (labels.class_names, labels.palette)
    assert {raw: read.values[raw] for raw in labels.values} == dict(labels.values)
