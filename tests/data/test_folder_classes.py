"""What the label values of a folder mean: inferred, a network's, or declared."""

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pytest
from folder_trees import add_pair, flat_folder, note
from pictures import gray, save, save_palette
from PIL import Image

from dualseg.core.errors import InputError
from dualseg.core.labels import LabelSpec, voc_palette
from dualseg.data.datasets.folder import describe_folder
from dualseg.data.datasets.streets import STREETS_LABELS
from dualseg.data.faults import DatasetError


def test_0_and_255_are_background_and_foreground_and_nothing_is_ignored(tmp_path: Path) -> None:
    description = describe_folder(flat_folder(tmp_path, (0, 255, 255)))
    assert description.labels.values == {0: 0, 255: 1}
    assert description.labels.class_names == ("background", "foreground")
    assert description.open("val").label_map(0).tolist() == [[0, 1, 1]]
    assert "no value is ignored" in note(description, "label values:")


def test_the_foreground_counts_even_where_a_mask_holds_nothing_else(tmp_path: Path) -> None:
    description = describe_folder(flat_folder(tmp_path, (0, 0), (255, 255)))
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
    description = describe_folder(flat_folder(tmp_path, (0, 1, 255, 255), (2, 0, 1, 2)))
    labels = description.labels
    assert labels.values == {0: 0, 1: 1, 2: 2, 255: 255}
    assert labels.class_names == ("class_0", "class_1", "class_2")
    # Three masks of the first kind and two of the second: 6 of 20 pixels.
    assert note(description, "ignored:") == "ignored: label value 255 (30.0 % of all pixels)"


def test_ids_from_1_on_are_moved_down(tmp_path: Path) -> None:
    description = describe_folder(flat_folder(tmp_path, (1, 2, 3)))
    assert description.labels.values == {1: 0, 2: 1, 3: 2, 255: 255}
    assert description.open("train").label_map(0).tolist() == [[0, 1, 2]]
    assert "1 to 3 become class ids from 0 on" in note(description, "label values:")


def test_a_class_that_is_missing_in_between_keeps_its_id(tmp_path: Path) -> None:
    description = describe_folder(flat_folder(tmp_path, (0, 1, 3)))
    assert description.labels.num_classes == 4
    assert "no pixel has the label values 2" in description.notes


def test_classes_are_the_same_in_train_and_val(tmp_path: Path) -> None:
    add_pair(tmp_path / "images/train", tmp_path / "masks/train", "a", (0, 1, 2))
    add_pair(tmp_path / "images/val", tmp_path / "masks/val", "b", (0, 0, 4))
    description = describe_folder(tmp_path)
    assert description.open("train").labels is description.open("val").labels
    assert description.labels.num_classes == 5


@pytest.mark.parametrize(
    ("values", "fix"),
    [
        ((0, 128), "{0: 0, 128: 1}"),
        ((0, 3, 6), "{0: 0, 3: 1, 6: 2}"),
        ((0, 85, 170, 255), "{0: 0, 85: 1, 170: 2, 255: 3}"),
        ((0, 1, 1000), "{0: 0, 1: 1, 1000: 2}"),
        ((7, 11), "{7: 0, 11: 1}"),
        ((2, 2, 255), "{2: 0, 255: 1}"),
    ],
)
def test_gaps_as_gray_levels_have_them_are_refused_with_the_values_to_paste(
    tmp_path: Path, values: Sequence[int], fix: str
) -> None:
    with pytest.raises(InputError) as caught:
        describe_folder(flat_folder(tmp_path, values))
    assert "with gaps as gray levels have them" in str(caught.value)
    assert "f0.png" in str(caught.value)
    assert f"values: {fix} (255 in place of a class: ignored)" in str(caught.value)
    (tmp_path / "dataset.yaml").write_text(f"values: {fix}\n")
    assert describe_folder(tmp_path).labels.num_classes == len(set(values))


def test_more_than_40_values_are_refused(tmp_path: Path) -> None:
    assert describe_folder(flat_folder(tmp_path / "ok", range(40))).labels.num_classes == 40
    with pytest.raises(InputError, match=r"hold 41 different values .*dataset\.yaml"):
        describe_folder(flat_folder(tmp_path / "many", range(41)))


@pytest.mark.parametrize(
    ("values", "fix"),
    [((0, 0), "{0: 0, 255: 1}"), ((1, 1), "{0: 0, 1: 1}"), ((1, 255), "{1: 0, 255: 1}")],
)
def test_a_single_class_is_refused(tmp_path: Path, values: Sequence[int], fix: str) -> None:
    with pytest.raises(InputError, match="one class only") as caught:
        describe_folder(flat_folder(tmp_path, values))
    assert f"values: {fix}" in str(caught.value)


def test_masks_of_255_alone_are_not_taken_for_a_foreground(tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"one class only \(values 255; 255 counts as ignored\)"):
        describe_folder(flat_folder(tmp_path, (255, 255)))


def test_masks_that_cannot_be_read_are_listed(tmp_path: Path) -> None:
    flat_folder(tmp_path, (0, 1), count=9)
    for index in range(8):
        save(tmp_path / "masks" / f"f{index}.png", np.full((4, 6, 3), (200, 0, 0)))
    with pytest.raises(InputError) as caught:
        describe_folder(tmp_path)
    assert "colour picture" in caught.value.problems[0]
    assert caught.value.problems[-1].startswith("... and 3 more E104")
    assert isinstance(caught.value, DatasetError)
    assert sorted(Path(fault.file).name for fault in caught.value.faults) == [
        f"f{index}.png" for index in range(8)
    ]


def test_the_palette_is_that_of_the_masks(tmp_path: Path) -> None:
    colors = [(9, 8, 7), (200, 0, 0), (0, 0, 200)]
    for name in ("a", "b"):
        save(tmp_path / "images" / f"{name}.jpg", gray(1, 3))
        save_palette(tmp_path / "masks" / f"{name}.png", [[0, 1, 2]], colors)
    description = describe_folder(tmp_path)
    assert description.labels.palette == tuple(colors)
    assert note(description, "palette:").startswith("palette: of ")


def test_a_palette_of_grays_is_not_taken(tmp_path: Path) -> None:
    for name in ("a", "b"):
        save(tmp_path / "images" / f"{name}.jpg", gray(1, 3))
        save_palette(tmp_path / "masks" / f"{name}.png", [[0, 1, 2]], [(i, i, i) for i in range(9)])
    assert describe_folder(tmp_path).labels.palette == voc_palette(3)


def test_without_a_palette_the_colours_are_vocs(tmp_path: Path) -> None:
    description = describe_folder(flat_folder(tmp_path, (0, 1, 2)))
    assert description.labels.palette == voc_palette(3)
    assert "palette: PASCAL VOC's colours" in description.notes


def test_notes_tell_classes_ignored_value_palette_and_sizes(tmp_path: Path) -> None:
    notes = describe_folder(flat_folder(tmp_path, (0, 1, 2, 255))).notes
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
    description = describe_folder(flat_folder(tmp_path, row), ANIMALS)
    assert description.labels is ANIMALS
    assert "labels: as the network was trained" in description.notes
    expected = [ANIMALS.values[value] for value in row]
    assert description.open("val").label_map(0).tolist() == [expected]


def test_values_the_network_does_not_know_are_inferred(tmp_path: Path) -> None:
    assert describe_folder(flat_folder(tmp_path, (0, 1, 2)), ANIMALS).labels.values[2] == 2


def test_a_drawn_foreground_is_not_ignored_for_a_network_of_two_classes(tmp_path: Path) -> None:
    assert describe_folder(flat_folder(tmp_path, (0, 255)), TWO).labels.values == {0: 0, 255: 1}
    of_drawn_masks = LabelSpec(TWO.class_names, TWO.palette, {0: 0, 255: 1})
    assert describe_folder(tmp_path, of_drawn_masks).labels is of_drawn_masks


@pytest.mark.parametrize("text", ["allow_missing: true", "max_pixels: 400000000", "snap: false"])
def test_a_dataset_yaml_that_says_nothing_of_labels_leaves_the_networks_classes(
    tmp_path: Path, text: str
) -> None:
    flat_folder(tmp_path, (10, 20))
    (tmp_path / "dataset.yaml").write_text(f"{text}\n")
    assert describe_folder(tmp_path, ANIMALS).labels == ANIMALS


def test_a_declared_palette_paints_the_networks_classes(tmp_path: Path) -> None:
    flat_folder(tmp_path, (10, 20))
    (tmp_path / "dataset.yaml").write_text("palette: [[7, 7, 7], [8, 8, 8], [9, 9, 9]]\n")
    labels = describe_folder(tmp_path, ANIMALS).labels
    assert (labels.class_names, labels.values) == (ANIMALS.class_names, ANIMALS.values)
    assert labels.palette == ((7, 7, 7), (8, 8, 8), (9, 9, 9))
    (tmp_path / "dataset.yaml").write_text("palette: [[7, 7, 7], [8, 8, 8]]\n")
    with pytest.raises(InputError, match="the palette has 2 colours for 3 classes"):
        describe_folder(tmp_path, ANIMALS)


def test_what_dataset_yaml_says_counts_more_than_the_network(tmp_path: Path) -> None:
    flat_folder(tmp_path, (0, 10))
    (tmp_path / "dataset.yaml").write_text("values: {0: 1, 10: 0}\n")
    assert describe_folder(tmp_path, ANIMALS).labels.values[10] == 0


# --- dataset.yaml --------------------------------------------------------------------------------


def _declare(root: Path, text: str) -> LabelSpec:
    (root / "dataset.yaml").write_text(text)
    return describe_folder(root).labels


def test_values_of_dataset_yaml_win(tmp_path: Path) -> None:
    flat_folder(tmp_path, (0, 128, 255))
    labels = _declare(
        tmp_path,
        "class_names: [road, car]\npalette: [[1, 2, 3], [4, 5, 6]]\n"
        "values: {0: 0, 128: 1}\nignore_index: 255\n",
    )
    assert labels == LabelSpec(("road", "car"), ((1, 2, 3), (4, 5, 6)), {255: 255, 0: 0, 128: 1})
    assert describe_folder(tmp_path).open("train").label_map(0).tolist() == [[0, 1, 255]]


@pytest.mark.parametrize("more", ["", "class_names: [sky, ground]\n", "snap: true\n"])
def test_a_drawn_foreground_is_ignored_only_where_that_is_said(tmp_path: Path, more: str) -> None:
    flat_folder(tmp_path, (0, 255))
    with pytest.raises(InputError) as caught:
        _declare(tmp_path, f"{more}values: {{0: 0, 1: 1}}")
    assert "says nothing of 255; write values: {0: 0, 255: 1} if it is" in str(caught.value)
    assert _declare(tmp_path, f"{more}values: {{0: 0, 255: 1}}").values[255] == 1
    for said in ("{0: 0, 1: 1}\nignore_index: 255", "{0: 0, 1: 1, 255: 255}"):
        assert _declare(tmp_path, f"{more}values: {said}").values[255] == 255


def test_three_declared_classes_need_not_occur(tmp_path: Path) -> None:
    labels = _declare(flat_folder(tmp_path, (0, 255)), "values: {0: 0, 1: 1, 2: 2}")
    assert labels.values == {0: 0, 1: 1, 2: 2, 255: 255}


def test_names_alone_go_with_inferred_values(tmp_path: Path) -> None:
    flat_folder(tmp_path, (0, 255))
    assert _declare(tmp_path, "class_names: [sky, ground]").values == {0: 0, 255: 1}
    assert describe_folder(tmp_path).labels.class_names == ("sky", "ground")


def test_names_alone_allow_classes_that_do_not_occur(tmp_path: Path) -> None:
    labels = _declare(flat_folder(tmp_path, (0, 1)), "class_names: [a, b, c, d]")
    assert labels.values == {0: 0, 1: 1, 2: 2, 3: 3, 255: 255}


def test_names_alone_fit_ids_from_1_on(tmp_path: Path) -> None:
    labels = _declare(flat_folder(tmp_path, (1, 2, 3)), "class_names: [a, b, c]")
    assert labels.values == {1: 0, 2: 1, 3: 2, 255: 255}


def test_names_alone_lift_the_limit_of_40(tmp_path: Path) -> None:
    names = ", ".join(f"c{index}" for index in range(60))
    assert _declare(flat_folder(tmp_path, range(60)), f"class_names: [{names}]").num_classes == 60


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
    labels = _declare(flat_folder(tmp_path, row), f"ignore_index: {ignore}")
    assert labels.values == expected
    assert labels.ignore_index == 255


def test_0_and_255_with_255_ignored_is_a_single_class_and_refused(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="one class only"):
        _declare(flat_folder(tmp_path, (0, 255)), "ignore_index: 255")


def test_an_ignored_value_among_the_classes_is_refused(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="ignore_index 1 lies among the label values 0 to 2"):
        _declare(flat_folder(tmp_path, (0, 1, 2)), "ignore_index: 1")


def test_all_faults_of_dataset_yaml_are_listed_at_once(tmp_path: Path) -> None:
    with pytest.raises(InputError) as caught:
        _declare(
            flat_folder(tmp_path, (0, 1)),
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
        ("class_names: [a, 'a ', b, '\tb']", r"'a' and 'a ' look alike; name each class once"),
        ('class_names: ["caf\\xe9", "cafe\\u0301"]', "look alike"),
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
        _declare(flat_folder(tmp_path, (0, 1)), text)


@pytest.mark.parametrize(
    "labels",
    [
        STREETS_LABELS,
        LabelSpec(("background", "foreground"), ((0, 0, 0), (9, 9, 9)), {0: 0, 255: 1}),
        LabelSpec(("a", "b"), ((0, 0, 0), (9, 9, 9)), {3: 0, 4: 1, 11: 255}),
    ],
)
def test_a_label_spec_written_as_dataset_yaml_comes_back(tmp_path: Path, labels: LabelSpec) -> None:
    read = _declare(flat_folder(tmp_path, (0, 1)), str(labels.to_dict()))
    assert (read.class_names, read.palette) == (labels.class_names, labels.palette)
    assert {raw: read.values[raw] for raw in labels.values} == dict(labels.values)
