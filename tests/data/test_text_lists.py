"""train.txt, val.txt and so on: what counts as a list, and that none is passed over in silence."""

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
