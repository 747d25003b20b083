"""Images and masks in one folder, wherever that folder is."""

from pathlib import Path

import pytest
from pictures import gray, save

from dualseg.core.errors import InputError
from dualseg.data.datasets.folder import describe_folder


def _both(folder: Path, *names: str) -> None:
    for name in names:
        save(folder / f"{name}.jpg", gray(1, 2))
        save(folder / f"{name}_mask.png", [[0, 1]])


def _names(root: Path) -> dict[str, list[str]]:
    return {s: [p.name for p in pairs] for s, pairs in describe_folder(root).splits.items()}


@pytest.mark.parametrize(
    ("train", "val"),
    [
        ("train", "val"),
        ("train/images", "valid/images"),
        ("images/train", "images/validation"),
    ],
)
def test_split_folders_may_hold_both(tmp_path: Path, train: str, val: str) -> None:
    _both(tmp_path / train, "a", "b")
    _both(tmp_path / val, "a")
    assert _names(tmp_path) == {"train": ["a", "b"], "val": ["a"]}
    assert describe_folder(tmp_path).open("val").label_map(0).tolist() == [[0, 1]]


def test_the_folder_of_images_may_hold_both(tmp_path: Path) -> None:
    _both(tmp_path / "images", "a", "b")
    notes = describe_folder(tmp_path).notes
    assert "pairs: images and masks lie side by side (images/a_mask.png)" in notes
    assert "images: 1 train, 1 val" in notes


def test_a_split_folder_beside_the_folder_of_images_is_that_split(tmp_path: Path) -> None:
    _both(tmp_path / "images", "a", "b")
    _both(tmp_path / "val/images", "c")
    save(tmp_path / "train/plot.jpg", gray(1, 2))
    assert _names(tmp_path) == {"train": ["a", "b"], "val": ["c"]}
    _both(tmp_path / "train", "d")
    with pytest.raises(InputError, match=r"images and .*train are the same split, train; keep one"):
        describe_folder(tmp_path)


def test_a_split_without_masks_is_named_but_for_test(tmp_path: Path) -> None:
    _both(tmp_path / "train", "a", "b")
    save(tmp_path / "test/c.jpg", gray(1, 2))
    assert set(_names(tmp_path)) == {"train", "val"}
    assert any("test has no masks" in note for note in describe_folder(tmp_path).notes)
    save(tmp_path / "val/c.jpg", gray(1, 2))
    with pytest.raises(InputError, match=r"val/c\.jpg has 0 masks"):
        describe_folder(tmp_path)


def test_lists_of_names_make_the_splits_here_too(tmp_path: Path) -> None:
    _both(tmp_path, "a", "b", "c")
    (tmp_path / "train.txt").write_text("a\nb\n")
    (tmp_path / "val.txt").write_text("c\n")
    assert _names(tmp_path) == {"train": ["a", "b"], "val": ["c"]}
    (tmp_path / "val.txt").write_text("c\na\nghost\n")
    with pytest.raises(InputError) as caught:
        describe_folder(tmp_path)
    assert caught.value.problems == (
        "val.txt lists ghost, of which there is no pair",
        "a stands in the lists of train and of val",
    )


def test_one_name_with_two_suffixes_is_told(tmp_path: Path) -> None:
    _both(tmp_path, "a", "b")
    save(tmp_path / "a.png", gray(1, 2))
    with pytest.raises(InputError, match=r"a\.jpg shares its name"):
        describe_folder(tmp_path)


def test_images_alone_are_still_told_what_was_looked_for(tmp_path: Path) -> None:
    save(tmp_path / "images/a.jpg", gray(1, 2))
    with pytest.raises(InputError, match="has no mask folder"):
        describe_folder(tmp_path)


def test_images_below_a_split_folder_are_noted(tmp_path: Path) -> None:
    for folder in ("train", "val", "train/night"):
        _both(tmp_path / folder, "a")
    found = f"not read: sub-folders night of {tmp_path / 'train'}"
    assert found in describe_folder(tmp_path).notes


def test_listed_test_images_without_masks_are_left_out(tmp_path: Path) -> None:
    for name in "abcd":
        save(tmp_path / f"{name}.jpg", gray())
    for name in "ab":
        save(tmp_path / f"{name}_mask.png", [[0, 1]])
    for split, names in {"train": "a", "val": "b", "test": "c\nd"}.items():
        (tmp_path / f"{split}.txt").write_text(names)
    description = describe_folder(tmp_path)
    assert {s: [p.name for p in pairs] for s, pairs in description.splits.items()} == {
        "train": ["a"],
        "val": ["b"],
    }
    assert "split: the images in test.txt have no masks and are left out" in description.notes
    (tmp_path / "test.txt").write_text("c\na\n")  # one has a mask, so the other lacks one
    with pytest.raises(InputError, match="do not fit together"):
        describe_folder(tmp_path)
