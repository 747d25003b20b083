"""Which files of a folder belong together, and to which split."""

from collections.abc import Sequence
from pathlib import Path

import pytest
from folder_trees import add_pair, contents, flat_folder, names_in, note
from pictures import gray, save

from dualseg.core.errors import InputError
from dualseg.data.datasets.folder import describe_folder


@pytest.mark.parametrize("images", ["images", "image", "imgs", "img", "JPEGImages", "Images"])
@pytest.mark.parametrize(
    "masks", ["masks", "mask", "labels", "label", "annotations", "gt", "SegmentationClass"]
)
def test_usual_names_of_folders_are_known(tmp_path: Path, images: str, masks: str) -> None:
    for name in ("a", "b"):
        add_pair(tmp_path / images, tmp_path / masks, name, (0, 1))
    assert {len(pairs) for pairs in describe_folder(tmp_path).splits.values()} == {1}


@pytest.mark.parametrize("val", ["val", "valid", "validation", "val2017", "Val_2014"])
@pytest.mark.parametrize("split_inside", [True, False])
def test_split_folders_inside_and_outside_are_known(
    tmp_path: Path, val: str, split_inside: bool
) -> None:
    for split, name in (("train", "a"), ("train", "b"), (val, "c")):
        kinds = [f"images/{split}", f"masks/{split}"]
        if not split_inside:
            kinds = [f"{split}/images", f"{split}/masks"]
        add_pair(tmp_path / kinds[0], tmp_path / kinds[1], name, (0, 1))
    description = describe_folder(tmp_path)
    assert names_in(description, "train") == ["a", "b"]
    assert names_in(description, "val") == ["c"]
    assert description.open("validation").split == "val"
    assert "images: 2 train, 1 val" in description.notes


@pytest.mark.parametrize("suffix", ["_mask", "_label", "_labels", "_gt"])
def test_masks_may_carry_a_suffix(tmp_path: Path, suffix: str) -> None:
    for name in ("a", "b"):
        add_pair(tmp_path / "images", tmp_path / "masks", name, (0, 1), suffix)
    train = describe_folder(tmp_path).open("train")
    assert train.label_path(0) == tmp_path / "masks" / f"{train.name(0)}{suffix}.png"


def test_an_image_whose_own_name_ends_like_a_mask_keeps_its_mask(tmp_path: Path) -> None:
    for name in ("a", "a_gt"):
        add_pair(tmp_path / "images", tmp_path / "masks", name, (0, 1))
    splits = describe_folder(tmp_path).splits
    assert {pair.label.stem for pairs in splits.values() for pair in pairs} == {"a", "a_gt"}


def test_without_split_folders_a_fifth_is_held_out_the_same_way_every_time(
    tmp_path: Path,
) -> None:
    description = describe_folder(flat_folder(tmp_path, (0, 1), count=20))
    train, val = names_in(description, "train"), names_in(description, "val")
    assert (len(train), len(val)) == (14, 6)
    assert sorted(train + val) == sorted(f"f{index}" for index in range(20))
    assert describe_folder(tmp_path).splits == description.splits
    assert val == ["f1", "f10", "f11", "f13", "f16", "f2"]  # fixed: other splits would not compare
    assert f"{len(val)} of 20 images are held out" in note(description, "split:")


def test_images_that_are_added_move_no_other(tmp_path: Path) -> None:
    few = describe_folder(flat_folder(tmp_path, (0, 1), count=20))
    many = describe_folder(flat_folder(tmp_path, (0, 1), count=150))
    assert set(names_in(few, "val")) <= set(names_in(many, "val"))
    assert set(names_in(few, "train")) <= set(names_in(many, "train"))
    assert 0.1 < len(names_in(many, "val")) / 150 < 0.3


def test_two_images_are_one_for_each_split(tmp_path: Path) -> None:
    description = describe_folder(flat_folder(tmp_path, (0, 1), count=2))
    assert len(description.open("train")) == len(description.open("val")) == 1


@pytest.mark.parametrize(
    ("names", "val"),
    [(("f3", "f4", "f5"), ["f5"]), (("f1", "f2"), ["f1"])],  # all above the threshold, all below
)
def test_no_part_is_left_empty(tmp_path: Path, names: Sequence[str], val: list[str]) -> None:
    for name in names:
        add_pair(tmp_path / "images", tmp_path / "masks", name, (0, 1))
    description = describe_folder(tmp_path)
    assert names_in(description, "val") == val
    assert names_in(description, "train") == [name for name in names if name not in val]


def test_one_image_cannot_be_split(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="one image, which cannot be split"):
        describe_folder(flat_folder(tmp_path, (0, 1), count=1))


def test_train_alone_gives_up_a_part_for_val(tmp_path: Path) -> None:
    for index in range(5):
        add_pair(tmp_path / "images/train", tmp_path / "masks/train", f"f{index}", (0, 1))
    description = describe_folder(tmp_path)
    assert (len(description.open("train")), len(description.open("val"))) == (3, 2)


def test_a_test_split_without_masks_is_left_out_with_a_note(tmp_path: Path) -> None:
    for split in ("train", "val"):
        add_pair(tmp_path / "images" / split, tmp_path / "masks" / split, "a", (0, 1))
    save(tmp_path / "images/test/x.png", gray())
    description = describe_folder(tmp_path)
    assert list(description.splits) == ["train", "val"]
    assert "has no masks and is left out" in note(description, "split:")


def test_a_val_split_without_masks_is_a_fault(tmp_path: Path) -> None:
    add_pair(tmp_path / "images/train", tmp_path / "masks/train", "a", (0, 1))
    save(tmp_path / "images/val/x.png", gray())
    with pytest.raises(InputError, match=r"images/val has no counterpart in .*found train/"):
        describe_folder(tmp_path)


def test_an_unknown_split_gets_a_hint(tmp_path: Path) -> None:
    description = describe_folder(flat_folder(tmp_path, (0, 1)))
    with pytest.raises(InputError, match=r"no split 'tran'; did you mean train\?"):
        description.open("tran")


def test_every_file_without_a_partner_is_counted_at_once(tmp_path: Path) -> None:
    flat_folder(tmp_path, (0, 1))
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
        add_pair(tmp_path / "images" / split, tmp_path / "masks" / split, "a", (0, 1))
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
    flat_folder(tmp_path, (0, 1))
    save(tmp_path / "labels" / "a.png", [[0]])
    with pytest.raises(InputError, match="holds labels and masks, which mean the same"):
        describe_folder(tmp_path)


def test_of_two_mask_folders_the_one_with_pictures_counts(tmp_path: Path) -> None:
    flat_folder(tmp_path, (0, 1))
    (tmp_path / "annotations").mkdir()
    (tmp_path / "annotations" / "a.xml").touch()
    assert len(describe_folder(tmp_path).open("train")) == 3


def test_hidden_and_other_files_are_passed_over(tmp_path: Path) -> None:
    flat_folder(tmp_path, (0, 1))
    (tmp_path / "images" / "._f0.jpg").write_bytes(b"mac")
    (tmp_path / "images" / "Thumbs.db").touch()
    (tmp_path / "images" / "more").mkdir()
    description = describe_folder(tmp_path)
    assert len(description.open("train")) == 3
    assert "sub-folders more of" in note(description, "not read:")


def test_pictures_of_other_formats_and_hidden_ones_are_noted(tmp_path: Path) -> None:
    flat_folder(tmp_path, (0, 1))
    for name in ("a.gif", "b.HEIC", ".c.png", "._f0.jpg", "notes.txt"):
        (tmp_path / "images" / name).touch()
    told = note(describe_folder(tmp_path), "not read: 3 files of")
    assert told.endswith(".webp: .c.png, a.gif, b.HEIC")


@pytest.mark.parametrize("images", ["images/{}", "{}/images"])
def test_images_below_and_beside_split_folders_are_noted(tmp_path: Path, images: str) -> None:
    for split in ("train", "val"):
        folder = images.format(split)
        add_pair(tmp_path / folder, tmp_path / folder.replace("images", "masks"), "a", (0, 1))
        save(tmp_path / folder / "night/b.jpg", gray())
    found = [
        f"not read: sub-folders night of {tmp_path / images.format(s)}" for s in ("train", "val")
    ]
    if images == "images/{}":
        save(tmp_path / "images/extra/c.jpg", gray())
        save(tmp_path / "images/d.jpg", gray())
        found += [
            f"not read: sub-folders extra of {tmp_path / 'images'}",
            f"not read: 1 pictures in {tmp_path / 'images'} itself",
        ]
    notes = describe_folder(tmp_path).notes
    assert {line for line in notes if line.startswith("not read:")} == set(found)


def test_a_split_folder_beside_images_and_masks_is_that_split(tmp_path: Path) -> None:
    flat_folder(tmp_path, (0, 1))
    for name in ("a", "b"):
        add_pair(tmp_path / "val/images", tmp_path / "val/masks", name, (0, 1))
    save(tmp_path / "test/images/c.jpg", gray())
    save(tmp_path / "train/plots/loss.png", gray())
    description = describe_folder(tmp_path)
    assert names_in(description, "train") == [f"f{index}" for index in range(5)]
    assert names_in(description, "val") == ["a", "b"]
    assert "images: 5 train, 2 val" in description.notes
    assert f"split: {tmp_path / 'test/images'} has no masks and is left out" in description.notes
    assert f"not read: pictures in {tmp_path / 'train'}" in description.notes


def test_split_folders_inside_and_outside_may_complete_each_other(tmp_path: Path) -> None:
    add_pair(tmp_path / "images/train", tmp_path / "masks/train", "a", (0, 1))
    add_pair(tmp_path / "val2017/images", tmp_path / "val2017/masks", "b", (0, 1))
    assert "images: 1 train, 1 val" in describe_folder(tmp_path).notes


@pytest.mark.parametrize(
    ("own", "outer"), [("images", "train/images"), ("images/val", "valid/images")]
)
def test_two_places_of_one_split_are_refused(tmp_path: Path, own: str, outer: str) -> None:
    for images in (own, outer):
        add_pair(tmp_path / images, tmp_path / images.replace("images", "masks"), "a", (0, 1))
    with pytest.raises(InputError) as caught:
        describe_folder(tmp_path)
    assert f"{tmp_path / own} and {tmp_path / outer} are the same split" in str(caught.value)


def test_a_split_folder_beside_images_and_masks_needs_both(tmp_path: Path) -> None:
    save(flat_folder(tmp_path, (0, 1)) / "val/images/a.jpg", gray())
    with pytest.raises(InputError, match="val has no mask folder"):
        describe_folder(tmp_path)


def test_loose_pictures_in_a_split_folder_beside_images_and_masks_are_noted(
    tmp_path: Path,
) -> None:
    save(flat_folder(tmp_path, (0, 1)) / "val/a.jpg", gray())
    assert f"not read: pictures in {tmp_path / 'val'}" in describe_folder(tmp_path).notes


def test_masks_of_a_split_without_images_are_refused(tmp_path: Path) -> None:
    for split in ("train", "val"):
        add_pair(tmp_path / "images" / split, tmp_path / "masks" / split, "a", (0, 1))
    (tmp_path / "images/val/a.jpg").unlink()
    (tmp_path / "images/val").rmdir()
    with pytest.raises(InputError, match=r"masks/val has no counterpart in .*images; found train/"):
        describe_folder(tmp_path)


@pytest.mark.parametrize("split", ["", "train"])
def test_masks_below_and_beside_those_that_are_read_are_noted(tmp_path: Path, split: str) -> None:
    for name in ("a", "b"):
        add_pair(tmp_path / "images" / split, tmp_path / "masks" / split, name, (0, 1))
    for folder in ("extra", "test"):
        save(tmp_path / "masks" / folder / "c.png", [[0, 1]])
    found = f"not read: sub-folders extra, test of {tmp_path / 'masks'}"
    assert found in describe_folder(tmp_path).notes


def test_nothing_is_written_into_the_folder(tmp_path: Path) -> None:
    flat_folder(tmp_path, (0, 1))
    before = contents(tmp_path)
    description = describe_folder(tmp_path)
    description.open("train").label_map(0)
    assert contents(tmp_path) == before
