"""VOC 2012, SBD, and both put together."""

import shutil
from contextlib import suppress
from pathlib import Path

import numpy as np
import pytest

from dualseg.core.errors import InputError
from dualseg.data.dataset import FileDataset
from dualseg.data.datasets.matlab import read_struct_field
from dualseg.data.datasets.sbd import open_sbd
from dualseg.data.datasets.voc import VOC_LABELS, open_voc
from dualseg.data.datasets.voc_aug import open_voc_aug
from official_trees import label, make_sbd, make_voc, make_voc_aug, save_label, save_lines, sbd_file


def _names(dataset: FileDataset) -> list[str]:
    return [dataset.name(index) for index in range(len(dataset))]


@pytest.mark.parametrize("below", ["", "VOCdevkit", "VOCdevkit/VOC2012"])
def test_voc_is_found_from_its_own_folder_and_from_its_parents(tmp_path: Path, below: str) -> None:
    dataset = open_voc(make_voc(tmp_path) / below, "train")
    assert _names(dataset) == ["2007_000032", "2007_000039"]


def test_the_border_of_objects_is_ignored_and_indices_are_class_ids(tmp_path: Path) -> None:
    dataset = open_voc(make_voc(tmp_path), "val")
    label_map = dataset.label_map(0)
    assert (label_map[0, 0], label_map[0, 1], label_map[15, 15]) == (255, 0, 1)
    assert VOC_LABELS.class_names[1] == "aeroplane"
    assert VOC_LABELS.palette[:2] == ((0, 0, 0), (128, 0, 0))
    assert dataset.image(0).shape == (16, 16, 3)


def test_trainval_is_both(tmp_path: Path) -> None:
    assert len(open_voc(make_voc(tmp_path), "trainval")) == 3


def test_the_test_split_is_refused_with_the_reason(tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"'test' is not opened: its labels are not public"):
        open_voc(make_voc(tmp_path), "test")


def test_an_unknown_split_gets_a_hint(tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"no split 'trian'; did you mean train"):
        open_voc(make_voc(tmp_path), "trian")


def test_a_missing_part_is_named_with_layout_and_origin(tmp_path: Path) -> None:
    root = make_voc(tmp_path)
    shutil.rmtree(root / "VOCdevkit/VOC2012/SegmentationClass")
    with pytest.raises(InputError) as caught:
        open_voc(root, "train")
    message = str(caught.value)
    assert f"no SegmentationClass in {root}/VOCdevkit/VOC2012" in message
    assert "Expected: VOC2012/ with JPEGImages/*.jpg" in message
    assert "VOCtrainval_11-May-2012.tar" in message


def test_an_empty_folder_says_everything_that_was_looked_for(tmp_path: Path) -> None:
    with pytest.raises(InputError) as caught:
        open_voc(tmp_path, "train")
    assert "no JPEGImages, no SegmentationClass, no ImageSets/Segm" in str(caught.value)
    assert "no VOC2012 or VOCdevkit/VOC2012 in" in str(caught.value)


def test_files_that_the_list_names_and_are_missing_are_counted(tmp_path: Path) -> None:
    home = make_voc(tmp_path) / "VOCdevkit/VOC2012"
    (home / "JPEGImages/2007_000032.jpg").unlink()
    (home / "SegmentationClass/2007_000039.png").unlink()
    with pytest.raises(InputError, match=r"2 files that .*train\.txt asks for") as caught:
        open_voc(home, "train")
    assert [Path(line).name for line in caught.value.problems] == [
        "2007_000032.jpg",
        "2007_000039.png",
    ]


def test_sbd_is_read_without_scipy(tmp_path: Path) -> None:
    dataset = open_sbd(make_sbd(tmp_path), "train")
    assert _names(dataset) == ["2008_000002", "2007_000032"]
    assert np.array_equal(dataset.label_map(0), label(15, 8))
    assert len(open_sbd(tmp_path / "benchmark_RELEASE", "trainval")) == 4


def test_a_list_that_the_archive_lacks_is_named(tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"no train_noval\.txt in"):
        open_sbd(make_sbd(tmp_path), "train_noval")


@pytest.mark.parametrize("compressed", [True, False])
@pytest.mark.parametrize("width", [1, 3, 5, 16])
def test_a_matlab_field_is_read_column_by_column(
    tmp_path: Path, width: int, compressed: bool
) -> None:
    values = np.arange(7 * width, dtype=np.uint8).reshape(7, width)
    path = tmp_path / "a.mat"
    path.write_bytes(sbd_file(values, compressed=compressed))
    assert np.array_equal(read_struct_field(path, "GTcls", "Segmentation"), values)


def test_a_matlab_file_of_scipy_is_read_alike(tmp_path: Path) -> None:
    io = pytest.importorskip("scipy.io")
    values = np.random.default_rng(0).integers(0, 21, (33, 50), dtype=np.uint8)
    boundaries = np.empty((20, 1), object)
    for number in range(20):
        boundaries[number, 0] = np.zeros((33, 50))
    content = {"GTcls": {"Boundaries": boundaries, "Segmentation": values, "CategoriesPresent": 3}}
    for compressed in (True, False):
        io.savemat(tmp_path / "a.mat", {"other": 1, **content}, do_compression=compressed)
        assert np.array_equal(
            read_struct_field(tmp_path / "a.mat", "GTcls", "Segmentation"), values
        )


def test_damaged_matlab_files_are_named_never_a_traceback(tmp_path: Path) -> None:
    whole = sbd_file(label(15, 8), compressed=False)
    random = np.random.default_rng(0)
    path = tmp_path / "a.mat"
    for _ in range(300):
        broken = bytearray(whole)
        for place in random.integers(128, len(whole), 3):
            broken[place] = random.integers(256)
        path.write_bytes(bytes(broken[: random.integers(100, len(whole) + 1)]))
        with suppress(InputError):
            read_struct_field(path, "GTcls", "Segmentation")
    path.write_bytes(whole[:-40])
    with pytest.raises(InputError, match=r"a\.mat cannot be read as MATLAB file"):
        read_struct_field(path, "GTcls", "Segmentation")


def test_a_page_in_place_of_a_matlab_file_is_named(tmp_path: Path) -> None:
    path = tmp_path / "a.mat"
    path.write_text("<html>" + "not found" * 40)
    with pytest.raises(InputError, match=r"a\.mat is no MATLAB 5 file"):
        read_struct_field(path, "GTcls", "Segmentation")


def test_trainaug_is_voc_train_and_sbd_without_voc_val(tmp_path: Path) -> None:
    dataset = open_voc_aug(make_voc_aug(tmp_path), "train")
    assert _names(dataset) == ["2007_000032", "2007_000039", "2008_000002", "2008_000003"]
    assert np.array_equal(dataset.label_map(2), label(15, 8))
    assert dataset.label_map(0)[0, 0] == 255  # VOC's own label, with its border


def test_trainaug_is_found_from_the_inner_folder_too(tmp_path: Path) -> None:
    make_voc_aug(tmp_path)
    assert len(open_voc_aug(tmp_path / "VOCdevkit" / "VOC2012", "train")) == 4


def _ready_made(root: Path) -> Path:
    home = make_voc(root) / "VOCdevkit" / "VOC2012"
    for name in ("2007_000032", "2007_000039", "2007_000033"):
        save_label(home / "SegmentationClassAug" / f"{name}.png", label(3, 4))
    return home


def test_ready_made_label_files_are_taken_by_their_list(tmp_path: Path) -> None:
    home = _ready_made(tmp_path)
    line = "/JPEGImages/2007_000039.jpg /SegmentationClassAug/2007_000039.png"
    save_lines(home / "ImageSets/Segmentation/train_aug.txt", [line])
    dataset = open_voc_aug(tmp_path, "train")
    assert _names(dataset) == ["2007_000039"]
    assert dataset.label_map(0)[0, 0] == 3


def test_without_a_list_all_label_files_but_those_of_val_are_taken(tmp_path: Path) -> None:
    dataset = open_voc_aug(_ready_made(tmp_path), "train")
    assert _names(dataset) == ["2007_000032", "2007_000039"]


def test_validation_is_vocs_own(tmp_path: Path) -> None:
    _ready_made(tmp_path)
    dataset = open_voc_aug(tmp_path, "val")
    assert _names(dataset) == ["2007_000033"]
    assert dataset.label_map(0)[0, 0] == 255


def test_voc_alone_is_not_trainaug(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="holds no SegmentationClassAug/, and there is no SBD"):
        open_voc_aug(make_voc(tmp_path), "train")
