from collections.abc import Sequence
from pathlib import Path

import pytest
from pictures import gray, save

from dualseg.core.errors import InputError
from dualseg.data.datasets.folder import describe_folder
from dualseg.data.datasets.folder_names import looks_like_mask, match_names
from dualseg.data.datasets.folder_pairs import find_pairs


@pytest.mark.parametrize(
    ("image", "mask"),
    [
        ("IMG_1", "IMG_1_labelIds"),
        ("IMG_1", "IMG_1_gtFine_labelIds"),
        ("aachen_1_leftImg8bit", "aachen_1_gtFine_labelIds"),
        ("image_1", "mask_1"),
        ("img-1", "label-1"),
        ("1", "gt_1"),
        ("1_rgb", "1_seg"),
        ("Image 1", "Mask 1"),
        ("caf\u00e9", "cafe\u0301"),  # one letter, and a letter with its accent
    ],
)
def test_names_that_say_image_and_mask_are_paired(image: str, mask: str) -> None:
    found, alone, doubled = match_names([image, "other"], [mask, "another"])
    assert found == {image: mask}
    assert (alone, doubled) == (["another"], [])


def test_the_plain_name_goes_before_the_bare_one() -> None:
    found, alone, _ = match_names(["1", "image_1"], ["1", "mask_1"])
    assert found == {"1": "1", "image_1": "mask_1"}
    assert alone == []


def test_two_images_that_would_take_a_mask_get_none() -> None:
    found, alone, _ = match_names(["image_1", "img_1"], ["mask_1"])
    assert found == {}
    assert alone == ["mask_1"]


def test_two_masks_of_an_image_are_told() -> None:
    _, _, doubled = match_names(["a"], ["a", "a_mask"])
    assert doubled == ["a", "a_mask"]


@pytest.mark.parametrize(
    ("name", "is_mask"),
    [("a_mask", True), ("mask_a", True), ("gt-7", True), ("mask", False), ("masked", False)],
)
def test_what_looks_like_a_mask(name: str, is_mask: bool) -> None:
    assert looks_like_mask(name) is is_mask


def _folder(root: Path, images: Sequence[str], masks: Sequence[str]) -> Path:
    for name in images:
        save(root / "images" / name, gray(1, 2))
    for name in masks:
        save(root / "masks" / name, [[0, 1]])
    return root


def test_a_folder_with_other_prefixes_is_read(tmp_path: Path) -> None:
    names = [f"{number:02}" for number in range(5)]
    root = _folder(tmp_path, [f"image_{n}.jpg" for n in names], [f"mask_{n}.png" for n in names])
    pairs = [p for pairs in describe_folder(root).splits.values() for p in pairs]
    assert {(p.image.name, p.label.name) for p in pairs} == {
        (f"image_{n}.jpg", f"mask_{n}.png") for n in names
    }


def test_names_that_differ_in_case_alone_are_listed(tmp_path: Path) -> None:
    root = _folder(tmp_path, ["a.jpg", "A.jpg", "b.jpg"], ["a.png", "A.png", "b.png"])
    if len(list((root / "images").iterdir())) < 3:
        pytest.skip("the file system takes both for one")
    with pytest.raises(InputError) as caught:
        describe_folder(root)
    (fault,) = caught.value.problems
    assert fault.startswith("4 files share their name with another one: images/A.jpg, images/a.jpg")


def test_one_name_with_two_suffixes_is_listed(tmp_path: Path) -> None:
    root = _folder(tmp_path, ["a.jpg", "a.png", "b.jpg"], ["a.png", "b.png"])
    with pytest.raises(InputError, match=r"2 files share their .*images/a\.jpg, images/a\.png"):
        describe_folder(root)


def test_a_link_that_leads_nowhere_is_no_missing_image(tmp_path: Path) -> None:
    root = _folder(tmp_path, ["a.jpg", "b.jpg"], ["a.png", "b.png", "c.png"])
    (root / "images/c.jpg").symlink_to(root / "gone.jpg")
    names = {p.name for pairs in describe_folder(root).splits.values() for p in pairs}
    assert names == {"a", "b", "c"}


def test_a_loop_of_links_is_not_followed(tmp_path: Path) -> None:
    root = _folder(tmp_path, ["a.jpg", "b.jpg"], ["a.png", "b.png"])
    (root / "images/again").symlink_to(root)
    (root / "itself").symlink_to(root / "itself")
    assert sum(map(len, describe_folder(root).splits.values())) == 2


def test_lists_of_bare_names_make_the_splits(tmp_path: Path) -> None:
    root = _folder(tmp_path, [f"{n}.jpg" for n in "abcdef"], [f"{n}.png" for n in "abcd"])
    (root / "train.txt").write_text("a\nb.jpg\n")
    (root / "val.txt").write_text("images/c.jpg\n\n")
    description = describe_folder(root)  # d stands in no list; e and f have no mask and need none
    found = {split: [p.name for p in pairs] for split, pairs in description.splits.items()}
    assert found == {"train": ["a", "b"], "val": ["c"]}
    assert "split: as train.txt and val.txt list the names" in description.notes


def test_vocs_lists_are_found_where_voc_has_them(tmp_path: Path) -> None:
    root = _folder(tmp_path, [f"{n}.jpg" for n in "abc"], [f"{n}.png" for n in "abc"])
    (root / "ImageSets/Segmentation").mkdir(parents=True)
    (root / "ImageSets/Segmentation/train.txt").write_text("a\nb.5 x\n")
    with pytest.raises(InputError) as caught:
        describe_folder(root)
    (fault,) = caught.value.problems
    assert fault == "1 names in train.txt have no image in images: b.5 x"


@pytest.mark.parametrize(
    ("train", "val", "message"),
    [
        ("a\na\n", "b\n", "train.txt lists 1 names more than once"),
        ("a\nb\n", "b\n", "1 names stand in the lists of train and of val: b"),
        ("a\nc\n", "b\n", "1 images in train.txt have no mask in masks: c"),
    ],
)
def test_faults_of_lists_are_told(tmp_path: Path, train: str, val: str, message: str) -> None:
    root = _folder(tmp_path, [f"{n}.jpg" for n in "abc"], [f"{n}.png" for n in "ab"])
    (root / "train.txt").write_text(train)
    (root / "val.txt").write_text(val)
    with pytest.raises(InputError, match=message):
        describe_folder(root)


@pytest.mark.parametrize("listed", ["a.jpg\nb.jpg\n", "a\nb\n"])
def test_a_listed_name_that_fits_several_files_is_refused(tmp_path: Path, listed: str) -> None:
    root = _folder(tmp_path, ["a.jpg", "a.png", "b.jpg"], ["a.png", "b.png", "b_mask.png"])
    (root / "train.txt").write_text(listed)
    with pytest.raises(InputError) as caught:
        describe_folder(root)
    assert caught.value.problems == (
        "4 files share their name with another one: images/a.jpg, images/a.png, masks/b.png, "
        "masks/b_mask.png",
    )


def test_names_that_no_list_holds_may_fit_several_files(tmp_path: Path) -> None:
    images, masks = [*(f"{n}.jpg" for n in "abcd"), "c.png"], [f"{n}.png" for n in "abcd"]
    root = _folder(tmp_path, images, [*masks, "d_mask.png"])
    (root / "train.txt").write_text("a\nb\n")
    pairs = describe_folder(root).splits.values()
    assert {p.image.name for found in pairs for p in found} == {"a.jpg", "b.jpg"}


def test_what_has_no_partner_is_left_out_with_a_note_where_that_is_allowed(tmp_path: Path) -> None:
    root = _folder(tmp_path, [f"{n}.jpg" for n in "abcd"], [f"{n}.png" for n in "abce"])
    with pytest.raises(InputError) as caught:
        find_pairs(root)
    assert caught.value.problems == (
        "1 images have no mask in masks: images/d.jpg",
        "1 masks have no image in images: masks/e.png",
    )
    pairs, notes = find_pairs(root, allow_missing=True)
    assert sum(map(len, pairs.values())) == 3
    assert set(caught.value.problems) < set(notes)
