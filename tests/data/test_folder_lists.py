from pathlib import Path

import pytest
from pictures import gray, save

from dualseg.core.errors import InputError
from dualseg.data.datasets.folder import describe_folder


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
    with pytest.raises(InputError, match=r"pairs.csv, row 2: path .* leads out of"):
        describe_folder(tmp_path)


def test_missing_files_and_doubled_images_are_listed(tmp_path: Path) -> None:
    text = "image,mask\nx/a.jpg,y/a.png\nx/a.jpg,y/none.png\n"
    (_files(tmp_path) / "pairs.csv").write_text(text)
    with pytest.raises(InputError) as caught:
        describe_folder(tmp_path)
    assert caught.value.problems == (
        "pairs.csv, row 3: there is no y/none.png",
        "pairs.csv, row 3: image x/a stands in pairs.csv, row 2 too",
    )


def test_two_lists_are_ambiguous(tmp_path: Path) -> None:
    (_files(tmp_path) / "pairs.csv").write_text("image,mask\nx/a.jpg,y/a.png\n")
    (tmp_path / "train.txt").write_text("x/a.jpg y/a.png\n")
    with pytest.raises(InputError, match=r"several lists of pairs: pairs\.csv, train\.txt"):
        describe_folder(tmp_path)
