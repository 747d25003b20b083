from pathlib import Path

import pytest
from pictures import gray, save
from shard_files import file_dataset, label, pairs, write_tar

from dualseg.config import DataSettings
from dualseg.core.errors import InputError
from dualseg.core.labels import LabelSpec
from dualseg.data.catalog import list_datasets, open_dataset, open_splits
from dualseg.data.checking import mask_facts
from dualseg.data.checking.checker import check_dataset
from dualseg.data.dataset import RawValues, images_of
from dualseg.data.datasets.camvid import CAMVID_LABELS
from dualseg.data.loading.cache import CachedDataset
from dualseg.data.shards.writer import write_shards


def _camvid(root: Path) -> Path:
    for split in ("train", "val"):
        save(root / split / "a.png", gray(2, 2))
        save(root / f"{split}annot" / "a.png", [[0, 1], [2, 11]])
        (root / f"{split}.txt").write_text(f"{split}/a.png {split}annot/a.png\n")
    return root


def _folder(root: Path) -> Path:
    for index in range(5):
        save(root / "images" / f"f{index}.png", gray(1, 3))
        save(root / "masks" / f"f{index}.png", [[0, 1, 2]])
    return root


def _settings(*, name: str, root: str, cache: str = "auto") -> DataSettings:
    return DataSettings.model_validate({"name": name, "root": root, "cache": cache})


def test_the_names_are_known() -> None:
    asked_for = "voc sbd voc_aug cityscapes coco coco_stuff camvid camvid32 mapillary ade20k inria"
    assert {"folder", "streets", "pascal_context", *asked_for.split()} <= set(list_datasets())


def test_an_unknown_name_gets_a_hint() -> None:
    with pytest.raises(InputError, match=r"no data set 'camvit'; did you mean camvid"):
        open_dataset("camvit", split="train")


@pytest.mark.parametrize("name", ["folder", "camvid", "voc"])
def test_data_from_files_needs_a_folder_that_is_there(name: str, tmp_path: Path) -> None:
    with pytest.raises(InputError, match=f"{name} needs a folder"):
        open_dataset(name, split="train")
    with pytest.raises(InputError, match="nowhere is no folder"):
        open_dataset(name, root=tmp_path / "nowhere", split="train")


def test_generated_data_takes_no_folder(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="leave out"):
        open_dataset("streets", root=tmp_path, split="train")


def test_a_folder_opens_in_two_splits_with_the_same_classes_and_notes(tmp_path: Path) -> None:
    splits = open_splits(_settings(name="folder", root=str(_folder(tmp_path))))
    assert (len(splits.train), len(splits.val)) == (3, 2)
    assert splits.train.labels is splits.val.labels
    assert "images: 3 train, 2 val" in splits.notes


def test_the_masks_are_scanned_once_for_both_splits(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    read: list[Path] = []
    real = mask_facts.read_label_values

    def noted(path: Path, **how: int) -> RawValues:
        read.append(path)
        return real(path, **how)

    monkeypatch.setattr(mask_facts, "read_label_values", noted)
    open_splits(_settings(name="folder", root=str(_folder(tmp_path))))
    assert len(read) == len(set(read)) == 5


def test_one_split_of_a_folder_is_that_of_both(tmp_path: Path) -> None:
    val = open_dataset("folder", root=_folder(tmp_path), split="val")
    both = open_splits(_settings(name="folder", root=str(tmp_path), cache="none"))
    assert [val.name(i) for i in range(len(val))] == [both.val.name(i) for i in range(len(val))]


def test_a_folder_laid_out_as_camvid_is_read_as_camvid_and_says_so(tmp_path: Path) -> None:
    splits = open_splits(_settings(name="folder", root=str(_camvid(tmp_path))))
    assert splits.train.labels is CAMVID_LABELS
    assert splits.val.label_map(0).tolist() == [[0, 1], [2, 255]]
    assert len(splits.notes) == 1
    assert "read as camvid" in splits.notes[0]


def test_a_declaration_overrules_the_classes_of_camvids_layout(tmp_path: Path) -> None:
    (_camvid(tmp_path) / "dataset.yaml").write_text(
        "class_names: [ground, cat]\nvalues: {0: 0, 1: 1, 2: 1, 11: 255}\nmax_pixels: 4\n"
    )
    train = (tmp_path / "train.txt").read_text()
    (tmp_path / "train.txt").write_text(train.replace("train", "/SegNet/CamVid/train"))
    splits = open_splits(_settings(name="folder", root=str(tmp_path)))
    assert splits.train.labels.class_names == ("ground", "cat")
    assert splits.train.label_map(0).tolist() == splits.val.label_map(0).tolist()
    assert splits.val.label_map(0).tolist() == [[0, 1], [1, 255]]
    assert images_of(splits.val).max_pixels == 4
    assert splits.notes[0].endswith("trainannot/); its classes are as dataset.yaml says")


def test_camvids_classes_stay_where_a_declaration_gives_no_others(tmp_path: Path) -> None:
    (_camvid(tmp_path) / "dataset.yaml").write_text("max_pixels: 4\n")
    val = open_dataset("folder", root=tmp_path, split="val")
    assert val.labels is CAMVID_LABELS
    assert images_of(val).max_pixels == 4


def test_camvid_by_name_needs_no_note(tmp_path: Path) -> None:
    splits = open_splits(_settings(name="camvid", root=str(_camvid(tmp_path))))
    assert splits.notes == ()


def test_a_network_tells_what_the_values_of_a_folder_mean(tmp_path: Path) -> None:
    labels = LabelSpec(("a", "b", "c", "d"), ((1, 1, 1),) * 4)
    opened = open_dataset("folder", root=_folder(tmp_path), split="val", labels=labels)
    assert opened.labels is labels


def test_a_broken_first_image_does_not_stop_the_opening(tmp_path: Path) -> None:
    for path in (_folder(tmp_path) / "images").iterdir():
        path.write_bytes(path.read_bytes()[:40])
    splits = open_splits(_settings(name="folder", root=str(tmp_path)))
    with pytest.raises(InputError) as caught:
        check_dataset(splits.train)
    assert len(caught.value.problems) == len(splits.train)


def test_the_cache_of_the_recipe_is_used(tmp_path: Path) -> None:
    root = str(_folder(tmp_path))
    ram = open_splits(_settings(name="folder", root=root, cache="ram"))
    none = open_splits(_settings(name="folder", root=root, cache="none"))
    assert isinstance(ram.train, CachedDataset)
    assert isinstance(ram.val, CachedDataset)
    assert not isinstance(none.train, CachedDataset)


def _written_shards(root: Path) -> Path:
    for split, count in (("train", 3), ("val", 2)):
        write_shards(file_dataset(root / split, count, split=split), root / "shards")
    return root / "shards"


@pytest.mark.parametrize("name", ["shards", "folder"])
def test_a_folder_of_shards_opens_in_two_splits(name: str, tmp_path: Path) -> None:
    splits = open_splits(_settings(name=name, root=str(_written_shards(tmp_path))))
    assert (len(splits.train), len(splits.val)) == (3, 2)
    assert splits.train.labels.class_names == ("ground", "house", "tree")
    assert isinstance(splits.train, CachedDataset)
    assert splits.notes == ("shards: 1 of train, 1 of val", "classes: 3, as dataset.yaml says")


def test_a_pattern_of_shards_finds_the_other_split_in_the_record(tmp_path: Path) -> None:
    folder = _written_shards(tmp_path)
    splits = open_splits(_settings(name="shards", root=f"{folder}/train-{{000000..000000}}.tar"))
    assert (len(splits.train), len(splits.val)) == (3, 2)


def test_the_other_split_of_shards_may_be_a_pattern_of_its_own(tmp_path: Path) -> None:
    write_tar(tmp_path / "a/train-0.tar", pairs(3))
    write_tar(tmp_path / "b/0.tar", pairs(2, first=7))
    for folder in ("a", "b"):
        (tmp_path / folder / "dataset.yaml").write_text("class_names: [a, b, c]\n")
    root, val = f"{tmp_path}/a/train-0.tar", f"{tmp_path}/b/{{0..0}}.tar"
    settings = DataSettings.model_validate({"name": "shards", "root": root, "val_split": val})
    splits = open_splits(settings)
    assert [splits.val.name(n) for n in range(2)] == ["0007", "0008"]


def test_shards_are_read_as_the_recipe_says(tmp_path: Path) -> None:
    root = str(_written_shards(tmp_path))
    given = {"name": "shards", "root": root, "channels": (3, 1), "cache": "none"}
    splits = open_splits(DataSettings.model_validate(given))
    assert splits.val.image(0).shape == (4, 6, 2)


def test_one_split_of_shards_by_name_or_pattern(tmp_path: Path) -> None:
    root = _written_shards(tmp_path)
    val = open_dataset("shards", root=root, split="val")
    assert val.label_map(1).tolist() == label(1).tolist()
    one = open_dataset("shards", root=root, split=f"{root}/train-000000.tar")
    assert len(one) == 3


def test_what_is_not_used_of_shards_is_noted_once(tmp_path: Path) -> None:
    for split in ("train", "val"):
        write_tar(tmp_path / f"{split}-0.tar", pairs(1) | {"0000.pyd": b"", "0000.cls": b"1"})
    (tmp_path / "dataset.yaml").write_text("class_names: [a, b, c]\n")
    splits = open_splits(_settings(name="shards", root=str(tmp_path)))
    assert splits.notes[-2:] == (
        "shards: not used: .cls (1)",
        "shards: never unpickled, not used: .pyd (1)",
    )


def test_shards_need_a_place() -> None:
    with pytest.raises(InputError, match="shards needs to know where they are"):
        open_dataset("shards", split="train")


def test_progress_is_told_while_a_folder_or_shards_are_looked_at(tmp_path: Path) -> None:
    for name, root in (("folder", _folder(tmp_path / "f")), ("shards", _written_shards(tmp_path))):
        told: list[tuple[int, int]] = []
        open_splits(
            _settings(name=name, root=str(root), cache="none"),
            progress=lambda done, total, told=told: told.append((done, total)),
        )
        assert told
        assert told[-1][0] == told[-1][1] > 0
