import errno
import os
from pathlib import Path

import pytest
from pictures import gray, save

from dualseg.core.errors import InputError
from dualseg.data.datasets.folder import describe_folder
from dualseg.data.faults import DatasetError


def _files(root: Path) -> Path:
    for name in ("a", "b", "c"):
        save(root / f"x/{name}.jpg", gray(1, 2))
        save(root / f"y/{name}.png", [[0, 1]])
    return root


def test_a_csv_names_pairs_and_splits(tmp_path: Path) -> None:
    text = "image,mask,split\nx/a.jpg,y/a.png,train\nx/b.jpg,y/b.png,valid\n"
    (_files(tmp_path) / "pairs.csv").write_text(text)
    description = describe_folder(tmp_path)
    assert [pair.name for pair in description.splits["train"]] == ["x/a"]
    assert [pair.name for pair in description.splits["val"]] == ["x/b"]
    assert "pairs: as pairs.csv lists them" in description.notes


def test_lists_name_pairs(tmp_path: Path) -> None:
    (_files(tmp_path) / "train.txt").write_text("x/a.jpg y/a.png\nx/b.jpg y/b.png\n")
    (tmp_path / "val.txt").write_text("x/c.jpg y/c.png\n")
    assert "images: 2 train, 1 val" in describe_folder(tmp_path).notes


def test_masks_may_lie_beside_their_images(tmp_path: Path) -> None:
    for name in ("a", "b"):
        save(tmp_path / f"{name}.jpg", gray(1, 2))
        save(tmp_path / f"{name}_mask.png", [[0, 1]])
    description = describe_folder(tmp_path)
    assert description.open("val").label_map(0).tolist() == [[0, 1]]
    assert "images: 1 train, 1 val" in description.notes


def test_a_mask_beside_no_image_is_named(tmp_path: Path) -> None:
    save(tmp_path / "a.jpg", gray(1, 2))
    save(tmp_path / "b_mask.png", [[0, 1]])
    with pytest.raises(InputError) as caught:
        describe_folder(tmp_path)
    assert caught.value.problems == ("b_mask.png belongs to 0 images", "a.jpg has 0 masks")


@pytest.mark.parametrize("path", ["/etc/hosts", "../a.jpg", "x/../../a.jpg", "C:\\a.jpg"])
def test_paths_that_lead_out_are_refused(tmp_path: Path, path: str) -> None:
    (_files(tmp_path) / "pairs.csv").write_text(f"image,mask\n{path},y/a.png\n")
    with pytest.raises(InputError, match=r"pairs.csv row 2: path .* leads out of"):
        describe_folder(tmp_path)


def test_two_images_that_differ_in_their_suffix_are_to_be_renamed(tmp_path: Path) -> None:
    save(_files(tmp_path) / "x/a.png", gray(1, 2))
    (tmp_path / "pairs.csv").write_text("image,mask\nx/a.jpg,y/a.png\nx/a.png,y/b.png\n")
    with pytest.raises(DatasetError) as caught:
        describe_folder(tmp_path)
    assert caught.value.problems == (
        "E100 pairs.csv row 3: image a.png has the name of a.jpg in pairs.csv, row 2, but for its "
        "suffix; rename one of them",
    )


def test_missing_files_and_doubled_images_are_listed(tmp_path: Path) -> None:
    text = "image,mask\nx/a.jpg,y/a.png\nx/a.jpg,y/none.png\n"
    (_files(tmp_path) / "pairs.csv").write_text(text)
    with pytest.raises(InputError) as caught:
        describe_folder(tmp_path)
    assert caught.value.problems == (
        "E100 pairs.csv row 3: there is no y/none.png; allow_missing: true in dataset.yaml leaves "
        "out what has no partner",
        "E100 pairs.csv row 3: image x/a stands in pairs.csv, row 2 too; leave it in once",
    )


def test_two_lists_are_ambiguous(tmp_path: Path) -> None:
    (_files(tmp_path) / "pairs.csv").write_text("image,mask\nx/a.jpg,y/a.png\n")
    (tmp_path / "train.txt").write_text("x/a.jpg y/a.png\n")
    with pytest.raises(InputError, match=r"several lists of pairs: pairs\.csv, train\.txt"):
        describe_folder(tmp_path)


@pytest.mark.parametrize("mark", [";", "\t"])
def test_columns_may_be_separated_by_semicolons_and_tabs(tmp_path: Path, mark: str) -> None:
    """As spreadsheets write them, with a byte order mark and quotes."""
    rows = [
        ("image", "mask", "split"),
        ("x/a.jpg", "y/a.png", "train"),
        ("x/b.jpg", "y/b.png", "val"),
    ]
    lines = [mark.join(f'"{cell}"' for cell in row) for row in rows]
    (_files(tmp_path) / "pairs.csv").write_text("\ufeff" + "\r\n".join(lines), "utf-8", newline="")
    description = describe_folder(tmp_path)
    assert [pair.name for pair in description.splits["val"]] == ["x/b"]


def test_a_table_counts_whatever_the_case_of_its_suffix(tmp_path: Path) -> None:
    text = "image,mask,split\nx/a.jpg,y/a.png,train\nx/b.jpg,y/b.png,val\n"
    (_files(tmp_path) / "Pairs.CSV").write_text(text)
    (tmp_path / "old.csv").mkdir()
    (tmp_path / "._Pairs.csv").write_text(text)  # macOS leaves such files
    splits = describe_folder(tmp_path).splits
    assert {split: len(pairs) for split, pairs in splits.items()} == {"train": 1, "val": 1}


def test_a_colon_in_a_name_is_no_drive(tmp_path: Path) -> None:
    save(_files(tmp_path) / "10:30.jpg", gray(1, 2))
    (tmp_path / "pairs.csv").write_text("image,mask\n10:30.jpg,y/a.png\nx/b.jpg,y/b.png\n")
    names = [pair.name for pairs in describe_folder(tmp_path).splits.values() for pair in pairs]
    assert sorted(names) == ["10:30", "x/b"]


@pytest.mark.parametrize("text", ["picture,target\n1.png,1.png\n", "image,mask\n"])
def test_a_table_that_is_no_list_is_told(tmp_path: Path, text: str) -> None:
    """Folders are taken in its place, and a user who meant it as the split reads that."""
    for name in ("a", "b"):
        save(tmp_path / f"images/{name}.jpg", gray(1, 2))
        save(tmp_path / f"masks/{name}.png", [[0, 1]])
    encoding = "utf-16" if text.startswith("image") else "utf-8"
    (tmp_path / "split.csv").write_text(text, encoding)
    notes = describe_folder(tmp_path).notes
    assert "not read: split.csv, whose first line does not name the columns image and mask" in notes


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("image,mask\n", r"pairs\.csv lists no pair; add rows, or remove it"),
        ("image,mask\nx/a.jpg\n", r"pairs\.csv, row 2 has 1 of 2 columns \(image, mask\)"),
        ("image,mask,split\nx/a.jpg,y/a.png,odd\n", r"no split 'train'; allowed: odd"),
    ],
)
def test_lists_that_lack_something_are_refused(tmp_path: Path, text: str, told: str) -> None:
    (_files(tmp_path) / "pairs.csv").write_text(text)
    with pytest.raises(InputError, match=told):
        describe_folder(tmp_path).open("train")


def test_rows_with_a_blank_split_are_listed(tmp_path: Path) -> None:
    rows = "x/a.jpg,y/a.png,train\nx/b.jpg,y/b.png,\nx/c.jpg,y/c.png, \n"
    (_files(tmp_path) / "pairs.csv").write_text(f"image,mask,split\n{rows}")
    with pytest.raises(InputError) as caught:
        describe_folder(tmp_path)
    told = "its split is blank; write train, val or test, or leave the column out"
    assert caught.value.problems == tuple(f"E100 pairs.csv row {n}: {told}" for n in (3, 4))


@pytest.mark.parametrize("count", [1, 1 << 13])
def test_a_quote_that_stays_open_names_its_row(tmp_path: Path, count: int) -> None:
    """Not the whole rest of a table as the name of one mask; csv stops at 128 KiB by itself."""
    rows = 'x/a.jpg,y/a.png\nx/b.jpg,"y/b.png\n' + "x/c.jpg,y/c.png\n" * count
    (_files(tmp_path) / "pairs.csv").write_text(f"image,mask\n{rows}")
    with pytest.raises(
        InputError, match=r"pairs\.csv, row 3 cannot be read \(.*\); close its quot"
    ):
        describe_folder(tmp_path)


def test_all_faults_of_a_list_are_known(tmp_path: Path) -> None:
    """The message shows five of each kind."""
    rows = "".join(f"x/a{number}.jpg,y/a.png\n" for number in range(9))
    (_files(tmp_path) / "pairs.csv").write_text("image,mask\n" + rows)
    with pytest.raises(DatasetError) as caught:
        describe_folder(tmp_path)
    assert len(caught.value.faults) == 9
    assert caught.value.problems[-1].startswith("... and 4 more")


def test_a_folder_that_may_not_be_read_is_told(tmp_path: Path, monkeypatch) -> None:
    save(tmp_path / "images/a.png", gray(1, 2))
    save(tmp_path / "masks/a.png", [[0, 1]])
    scandir = os.scandir

    def refuse(path):
        if Path(path).name == "masks":
            raise PermissionError(errno.EACCES, "Permission denied", str(path))
        return scandir(path)

    monkeypatch.setattr(os, "scandir", refuse)
    with pytest.raises(InputError, match=r"masks cannot be listed \(Permission denied\); give"):
        describe_folder(tmp_path)


def test_test_images_without_masks_are_left_out_and_told_when_asked_for(tmp_path: Path) -> None:
    for name in "abcd":
        save(tmp_path / "images" / f"{name}.png", gray())
    for name in "abc":
        save(tmp_path / "masks" / f"{name}.png", [[0, 1]])
    for split, names in (("train", "a\nb"), ("val", "c"), ("test", "d")):
        (tmp_path / f"{split}.txt").write_text(names)
    found = describe_folder(tmp_path)
    assert {split: len(files) for split, files in found.splits.items()} == {"train": 2, "val": 1}
    with pytest.raises(InputError, match=r"the images in test\.txt have no masks"):
        found.open("test")


def test_rows_of_test_images_may_name_no_mask(tmp_path: Path) -> None:
    text = "image,mask,split\nx/a.jpg,y/a.png,train\nx/b.jpg,y/b.png,val\nx/c.jpg,,test\n"
    (_files(tmp_path) / "pairs.csv").write_text(text)
    with pytest.raises(InputError, match="1 rows of test name no mask and are left out"):
        describe_folder(tmp_path).open("test")


@pytest.mark.parametrize(("name", "listed"), [("b\u00e9", "be\u0301"), ("be\u0301", "b\u00e9")])
def test_a_path_is_found_whichever_way_its_accents_are_composed(
    tmp_path: Path, name: str, listed: str
) -> None:
    for at in (name, "b"):
        save(tmp_path / f"x/{at}.jpg", gray())
        save(tmp_path / f"y/{at}.png", [[0, 1]])
    table = f"image,mask,split\nx/{listed}.jpg,y/{listed}.png,train\nx/b.jpg,y/b.png,val\n"
    (tmp_path / "pairs.csv").write_text(table, encoding="utf-8")
    (pair,) = describe_folder(tmp_path).splits["train"]
    assert pair.image == tmp_path / f"x/{name}.jpg"
    assert pair.label == tmp_path / f"y/{name}.png"
