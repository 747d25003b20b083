"""train.txt, val.txt and so on: what counts as a list, and that none is passed over in silence."""

import os
from pathlib import Path

import pytest
from pictures import gray, save

from dualseg.core.errors import InputError
from dualseg.data.datasets.folder import describe_folder

TRAIN = "x/a.jpg y/a.png\nx/b.jpg y/b.png\n"


def _files(root: Path) -> Path:
    for name in ("a", "b", "c"):
        save(root / f"x/{name}.jpg", gray(1, 2))
        save(root / f"y/{name}.png", [[0, 1]])
    return root


def test_lists_of_pairs_may_have_every_usual_name_and_tabs_and_a_byte_order_mark(
    tmp_path: Path,
) -> None:
    for folder, suffix in (("x y", "jpg"), ("y", "png")):
        for name in ("a 1", "b 1"):
            save(
                tmp_path / f"{folder}/{name}.{suffix}", gray(1, 2) if suffix == "jpg" else [[0, 1]]
            )
    train, valid = (f"x y/{name}.jpg\ty/{name}.png\r\n" for name in ("a 1", "b 1"))
    (tmp_path / "train.txt").write_text(f"\ufeff\r\n{train}", "utf-8", newline="")
    (tmp_path / "valid.txt").write_text(valid, newline="")
    description = describe_folder(tmp_path)
    assert [pair.name for pair in description.splits["val"]] == ["x y/b 1"]


@pytest.mark.parametrize(
    ("val", "found"),
    [
        (b"", "is empty"),
        (b"\n \n", "is empty"),
        (b"c\n", "begins with 'c'"),
        (b"\xff\xfe\x00", "begins with"),
    ],
)
def test_a_val_list_that_lists_no_pairs_is_not_passed_over(
    tmp_path: Path, val: bytes, found: str
) -> None:
    (_files(tmp_path) / "train.txt").write_text(TRAIN)
    (tmp_path / "val.txt").write_bytes(val)
    with pytest.raises(InputError, match=f'val.txt {found}.*but train.txt holds "image label"'):
        describe_folder(tmp_path)


def test_a_test_list_without_labels_is_left_out_with_a_note(tmp_path: Path) -> None:
    (_files(tmp_path) / "train.txt").write_text(TRAIN)
    (tmp_path / "test.txt").write_text("x/c.jpg\n")
    description = describe_folder(tmp_path)
    assert "not read: test.txt, which names no labels" in description.notes
    assert set(description.splits) == {"train", "val"}


def test_a_name_with_a_space_asks_for_a_tab(tmp_path: Path) -> None:
    (_files(tmp_path) / "train.txt").write_text("x/a.jpg y/a.png\nx/b 1.jpg y/b 1.png\n")
    with pytest.raises(InputError, match=r"train\.txt, line 2: .*put a tab between the two"):
        describe_folder(tmp_path)


def test_an_empty_list_of_names_is_refused(tmp_path: Path) -> None:
    for name in ("a", "b"):
        save(tmp_path / f"images/{name}.jpg", gray(1, 2))
        save(tmp_path / f"masks/{name}.png", [[0, 1]])
    (tmp_path / "train.txt").write_text("a\nb\n")
    (tmp_path / "val.txt").write_text("\n")
    with pytest.raises(InputError, match=r"val\.txt lists no name; write some into it"):
        describe_folder(tmp_path)


def _drawn(root: Path) -> Path:
    """a to d in images/, with a polygon each; names in data.yaml."""
    (root / "labels").mkdir()
    for name in "abcd":
        save(root / f"images/{name}.jpg", gray(2, 4))
        (root / f"labels/{name}.txt").write_text("0 0 0 0.5 0 0.5 1 0 1")
    (root / "data.yaml").write_text("names: [dog]\n")
    return root


def _names(root: Path) -> dict[str, list[str]]:
    return {s: [p.name for p in pairs] for s, pairs in describe_folder(root).splits.items()}


def test_lists_of_names_make_the_splits_of_drawn_labels(tmp_path: Path) -> None:
    (_drawn(tmp_path) / "train.txt").write_text("./images/c.jpg\n./images/d.jpg\n")
    (tmp_path / "val.txt").write_text("a\n")
    assert _names(tmp_path) == {"train": ["c", "d"], "val": ["a"]}
    notes = describe_folder(tmp_path).notes
    assert notes[:2] == ("images: 2 train, 1 val", "split: as train.txt and val.txt list the names")


def test_lists_that_data_yaml_names_go_before_others(tmp_path: Path) -> None:
    root = _drawn(tmp_path)
    names = {"autosplit_train": "a\nb", "autosplit_val": "c", "train": "c\nd", "val": "a\nb"}
    for name, listed in names.items():
        (root / f"{name}.txt").write_text(listed)
    text = "names: [dog]\ntrain: ./autosplit_train.txt\nval: autosplit_val.txt\n"
    (root / "data.yaml").write_text(text)
    assert _names(root) == {"train": ["a", "b"], "val": ["c"]}
    assert "not read: train.txt, val.txt" in describe_folder(root).notes
    (root / "data.yaml").write_text(text.replace("autosplit_val", "autosplit_train"))
    with pytest.raises(InputError, match=r"train and val are one list, autosplit_train\.txt"):
        describe_folder(root)


def test_lists_that_do_not_fit_drawn_labels_are_refused(tmp_path: Path) -> None:
    (_drawn(tmp_path) / "train.txt").write_text("a\nb\n")
    (tmp_path / "val.txt").write_text("b\nghost\n")
    with pytest.raises(InputError) as caught:
        describe_folder(tmp_path)
    assert caught.value.problems == (
        "val.txt lists ghost, of which there is no pair",
        "b stands in the lists of train and of val",
    )
    (tmp_path / "val.txt").write_text("c\nghost\n")
    (tmp_path / "dataset.yaml").write_text("allow_missing: true\n")
    assert _names(tmp_path) == {"train": ["a", "b"], "val": ["c"]}


def test_a_listed_name_of_several_images_is_refused(tmp_path: Path) -> None:
    for name in ("one/a.png", "two/a.png"):
        save(tmp_path / "images" / name, gray(2, 4))
    shape = '<polygon label="cat" points="0,0;2,0;2,2" z_order="0"/>'
    images = "".join(
        f'<image id="0" name="{name}" width="4" height="2">{shape}</image>'
        for name in ("one/a.png", "two/a.png")
    )
    (tmp_path / "annotations.xml").write_text(f"<annotations>{images}</annotations>")
    (tmp_path / "train.txt").write_text("a\n")
    with pytest.raises(InputError) as caught:
        describe_folder(tmp_path)
    assert caught.value.problems == ("train.txt lists a, the name of several images",)


@pytest.mark.parametrize("image", ["images/{}/a.jpg", "{}/images/a.jpg", "{}/a.jpg"])
def test_lists_beside_folders_of_each_split_are_noted(tmp_path: Path, image: str) -> None:
    for split in ("train", "val"):
        save(tmp_path / image.format(split), gray(1, 2))
        mask = image.replace("images", "masks").replace("a.jpg", "a_mask.png")
        save(tmp_path / mask.format(split), [[0, 1]])
        (tmp_path / f"{split}.txt").write_text("a\n")
    description = describe_folder(tmp_path)
    assert "not read: train.txt, val.txt" in description.notes
    assert "images: 1 train, 1 val" in description.notes


def test_lists_beside_drawn_labels_of_each_split_are_noted(tmp_path: Path) -> None:
    _drawn(tmp_path)
    for split, names in (("train", "abc"), ("val", "d")):
        for folder, suffix in (("images", "jpg"), ("labels", "txt")):
            (tmp_path / folder / split).mkdir()
            for name in names:
                file = tmp_path / folder / f"{name}.{suffix}"
                file.rename(tmp_path / folder / split / file.name)
    (tmp_path / "splits").mkdir()
    (tmp_path / "splits/val.txt").write_text("a\n")
    assert "not read: splits/val.txt" in describe_folder(tmp_path).notes


def test_lists_of_names_beside_a_table_or_lists_of_pairs_are_noted(tmp_path: Path) -> None:
    (_files(tmp_path) / "pairs.csv").write_text("image,mask\nx/a.jpg,y/a.png\nx/b.jpg,y/b.png\n")
    (tmp_path / "splits").mkdir()
    (tmp_path / "splits/val.txt").write_text("a\n")
    assert "not read: splits/val.txt" in describe_folder(tmp_path).notes
    (tmp_path / "pairs.csv").unlink()
    (tmp_path / "train.txt").write_text(TRAIN)
    assert "not read: splits/val.txt" in describe_folder(tmp_path).notes


@pytest.mark.parametrize("drawn", [False, True])
def test_lists_of_train_and_val_in_two_folders_are_refused(tmp_path: Path, drawn: bool) -> None:
    if drawn:
        _drawn(tmp_path)
    else:
        for name in "abcd":
            save(tmp_path / f"images/{name}.jpg", gray(1, 2))
            save(tmp_path / f"masks/{name}.png", [[0, 1]])
    (tmp_path / "splits").mkdir()
    (tmp_path / "train.txt").write_text("a\nb\n")
    (tmp_path / "splits/val.txt").write_text("c\n")
    with pytest.raises(
        InputError, match=r"train\.txt and splits/val\.txt lie apart; put the lists"
    ):
        describe_folder(tmp_path)
    (tmp_path / "val.txt").write_text("d\n")
    assert _names(tmp_path) == {"train": ["a", "b"], "val": ["d"]}
    assert "not read: splits/val.txt" in describe_folder(tmp_path).notes


def test_a_name_that_ends_as_a_picture_s_is_that_of_a_file_or_of_a_file_without_its_suffix(
    tmp_path: Path,
) -> None:
    for name in ("a.tif.png", "b.tif.png", "b.tif", "c.png"):
        save(tmp_path / f"images/{name}", gray(1, 2))
    for name in ("a.tif", "b", "c"):
        save(tmp_path / f"masks/{name}.png", [[0, 1]])
    (tmp_path / "train.txt").write_text("a.tif\nc.png\n")
    (tmp_path / "val.txt").write_text("b.tif\n")
    assert _names(tmp_path) == {"train": ["a.tif", "c"], "val": ["b"]}


def _folders(root: Path, *names: str) -> Path:
    for name in names:
        save(root / f"images/{name}.jpg", gray(1, 2))
        save(root / f"masks/{name}.png", [[0, 1]])
    return root


@pytest.mark.parametrize("folder", ["", "imagesets/segmentation", "Splits"])
def test_lists_count_whatever_the_case_of_their_names(tmp_path: Path, folder: str) -> None:
    """Passed over in silence, they would leave images of val to the training."""
    lists = _folders(tmp_path, "a", "b", "c") / folder
    lists.mkdir(parents=True, exist_ok=True)
    (lists / "Train.txt").write_text("a\nb\n")
    (lists / "VAL.TXT").write_text("c\n")
    splits = describe_folder(tmp_path).splits
    assert {split: [pair.name for pair in pairs] for split, pairs in splits.items()} == {
        "train": ["a", "b"],
        "val": ["c"],
    }


@pytest.mark.parametrize("line", ["a", "images/a.jpg masks/a.png"])
def test_a_list_in_utf_16_is_refused_by_that(tmp_path: Path, line: str) -> None:
    (_folders(tmp_path, "a", "b") / "train.txt").write_text(f"{line}\n", "utf-16")
    with pytest.raises(InputError, match=r"train\.txt holds zero bytes, as text in UTF-16 does"):
        describe_folder(tmp_path)


def test_a_list_may_write_accents_in_another_way_than_the_files(tmp_path: Path) -> None:
    """Files that were zipped on macOS have two signs for an accent, an editor writes one."""
    _folders(tmp_path, "e\u0301", "b")
    (tmp_path / "train.txt").write_text("\u00e9\n", "utf-8")
    (tmp_path / "val.txt").write_text("b\n")
    assert [pair.name for pair in describe_folder(tmp_path).splits["train"]] == ["e\u0301"]


def test_a_list_of_pairs_may_hold_names_that_are_no_utf_8(tmp_path: Path) -> None:
    odd = os.fsdecode(b"\xe9")
    save(tmp_path / "plain.jpg", gray(1, 2)).rename(tmp_path / f"{odd}.jpg")
    save(tmp_path / "plain.png", [[0, 1]]).rename(tmp_path / f"{odd}.png")
    save(tmp_path / "b.jpg", gray(1, 2))
    save(tmp_path / "b.png", [[0, 1]])
    (tmp_path / "train.txt").write_bytes(b"\xe9.jpg \xe9.png\n")
    (tmp_path / "val.txt").write_text("b.jpg b.png\n")
    assert [pair.name for pair in describe_folder(tmp_path).splits["train"]] == [odd]


def test_a_line_ends_where_an_editor_ends_it(tmp_path: Path) -> None:
    """U+2028 is a separator of lines to Python alone."""
    _folders(tmp_path, "a\u2028b", "a", "b", "c")
    (tmp_path / "train.txt").write_text("a\u2028b\n", "utf-8")
    (tmp_path / "val.txt").write_text("c\n")
    assert [pair.name for pair in describe_folder(tmp_path).splits["train"]] == ["a\u2028b"]
