"""Shards of other tools: which members are labels, which shards a split."""

from pathlib import Path

import pytest
from pictures import gray, save
from shard_files import image, label, pairs, png, write_tar

from dualseg.core.errors import InputError
from dualseg.core.labels import LabelSpec
from dualseg.data.shards.source import are_shards, describe_shards, in_every_folder, split_of

THREE = "class_names: [a, b, c]\n"


@pytest.fixture(autouse=True)
def _own_cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))


def _shards(folder: Path, members: dict[str, bytes], *, declared: str = THREE) -> str:
    write_tar(folder / "train-0.tar", members)
    write_tar(folder / "val-0.tar", pairs(1, first=500))
    if declared:
        (folder / "dataset.yaml").write_text(declared)
    return str(folder)


@pytest.mark.parametrize("ending", ["seg.png", "mask.png", "label.png", "png", "SEG.PNG"])
def test_labels_are_known_by_their_extension(ending: str, tmp_path: Path) -> None:
    read = describe_shards(_shards(tmp_path / "s", pairs(2, label_ending=ending))).open("train")
    assert [read.name(0), read.name(1)] == ["0000", "0001"]
    assert read.label_map(1).tolist() == label(1).tolist()
    assert read.image(1).tolist() == image(1).tolist()


def test_a_png_beside_a_named_label_is_the_image(tmp_path: Path) -> None:
    members = pairs(2, image_ending="png", label_ending="mask.png")
    read = describe_shards(_shards(tmp_path / "s", members)).open("train")
    assert read.image(0).shape == (4, 6, 3)


@pytest.mark.parametrize(
    ("members", "message"),
    [
        (
            {"a.jpg": b"", "a.seg.png": b"", "a.mask.png": b""},
            r"unclear which members.*extensions found: \.jpg \(1\), \.mask\.png \(1\), \.seg\.png",
        ),
        ({"a.jpg": b"", "a.cls": b""}, r"unclear which.*\.cls \(1\), \.jpg \(1\)"),
        ({"a.png": b"", "b.png": b""}, r"unclear which.*\.png \(2\)"),
        ({"a": b"", ".b.png": b""}, "holds no member KEY.EXTENSION"),
    ],
)
def test_what_is_unclear_is_refused_with_what_was_found(members, message: str, tmp_path) -> None:
    with pytest.raises(InputError, match=message):
        describe_shards(_shards(tmp_path / "s", members)).open("train")


def test_samples_that_are_not_whole_are_listed(tmp_path: Path) -> None:
    members = pairs(2) | {
        "x.jpg": b"",
        "y.seg.png": b"",
        "z.webp": b"",
        "z.jpg": b"",
        "z.seg.png": b"",
    }
    with pytest.raises(InputError) as caught:
        describe_shards(_shards(tmp_path / "s", members)).open("train")
    text = str(caught.value)
    assert "3 samples of the shards are not whole" in text
    assert "'x' has no label (.seg.png); its members: jpg" in text
    assert "'y' has no image; its members: seg.png" in text
    assert "'z' has several images (jpg, webp)" in text


def test_pickles_are_never_opened_and_other_fields_are_told(tmp_path: Path) -> None:
    members = pairs(1) | {"0000.pyd": b"cos\nsystem\n", "0000.json": b"{}", "0000.meta.pth": b""}
    read = describe_shards(_shards(tmp_path / "s", members)).open("train")
    assert read.samples.notes == (
        "shards: not used: .json (1)",
        "shards: never unpickled, not used: .meta.pth (1), .pyd (1)",
    )
    assert read.label_map(0).shape == (4, 6)


def test_keys_that_start_anew_in_each_shard_get_its_name(tmp_path: Path) -> None:
    folder = tmp_path / "s"
    _shards(folder, pairs(2))
    write_tar(folder / "train-1.tar", pairs(2))
    read = describe_shards(str(folder)).open("train")
    assert [read.name(n) for n in range(4)] == [
        "train-0/0000",
        "train-0/0001",
        "train-1/0000",
        "train-1/0001",
    ]


def test_values_are_those_of_dataset_yaml(tmp_path: Path) -> None:
    declared = "class_names: [a, b]\nvalues: {0: 0, 1: 1, 2: 255}\n"
    read = describe_shards(_shards(tmp_path / "s", pairs(1), declared=declared)).open("train")
    assert read.labels.class_names == ("a", "b")
    assert read.label_map(0).tolist()[3] == [0, 0, 1, 255, 0, 0]


def test_a_value_without_a_class_names_shard_and_member(tmp_path: Path) -> None:
    folder = _shards(tmp_path / "s", pairs(1), declared="class_names: [a, b]\n")
    read = describe_shards(folder).open("train")
    with pytest.raises(InputError, match=r"train-0\.tar/0000\.seg\.png: label values 2 \(1 pixels"):
        read.label_map(0)


def test_a_damaged_member_is_named(tmp_path: Path) -> None:
    members = pairs(1) | {"b.jpg": png(image(1))[:45], "b.seg.png": b"<html>"}
    read = describe_shards(_shards(tmp_path / "s", members)).open("train")
    with pytest.raises(InputError, match=r"train-0\.tar/b\.jpg cannot be read as image") as caught:
        read.image(1)
    assert "/proc/" not in str(caught.value)
    with pytest.raises(InputError, match=r"train-0\.tar/b\.seg\.png is a web page"):
        read.label_map(1)


def test_without_dataset_yaml_classes_come_from_the_labels_of_all_splits(tmp_path: Path) -> None:
    members = {"a.jpg": png(image(0)), "a.seg.png": png([[0, 1], [1, 255]])}
    folder = _shards(tmp_path / "s", members, declared="")
    found = describe_shards(folder)
    assert found.open("train").labels.num_classes == 3  # the third class is in val alone
    assert found.open("train").labels == found.open("val").labels
    kept = list((tmp_path / "cache").rglob("*.labels.json"))
    assert len(kept) == 1


def test_a_network_tells_the_classes_where_nobody_else_does(tmp_path: Path) -> None:
    labels = LabelSpec(("a", "b", "c", "d"), ((0, 0, 0),) * 4)
    folder = _shards(tmp_path / "s", pairs(1), declared="")
    assert describe_shards(folder, labels).open("val").labels is labels
    declared = describe_shards(_shards(tmp_path / "t", pairs(1)), labels)
    assert declared.open("val").labels.class_names == ("a", "b", "c")


def test_values_that_are_no_classes_are_refused_by_member(tmp_path: Path) -> None:
    members = {"a.jpg": png(image(0)), "a.seg.png": png([[0, 90], [201, 255]])}
    with pytest.raises(InputError, match=r"has no dataset.yaml .*train-0\.tar/a\.seg\.png"):
        describe_shards(_shards(tmp_path / "s", members, declared="")).open("train")


def test_coloured_labels_are_refused(tmp_path: Path) -> None:
    members = {"a.jpg": png(image(0)), "a.seg.png": png(image(3))}
    with pytest.raises(InputError, match=r"a\.seg\.png is a colour picture; labels in shards are"):
        describe_shards(_shards(tmp_path / "s", members, declared="")).open("train")


@pytest.mark.parametrize(
    ("name", "split"),
    [
        ("train-000.tar", "train"),
        ("coco-val-000012.tar", "val"),
        ("validation_3.tar", "val"),
        ("000003.tar", ""),
        ("trainer-1.tar", ""),
    ],
)
def test_a_split_is_a_part_of_the_name(name: str, split: str) -> None:
    assert split_of(name) == split


def test_shards_without_splits_are_held_out_by_name(tmp_path: Path) -> None:
    for number in range(2):
        write_tar(tmp_path / f"{number:06d}.tar", pairs(20, first=20 * number))
    (tmp_path / "dataset.yaml").write_text(THREE)
    found = describe_shards(str(tmp_path))
    train, val = found.open("train"), found.open("val")
    names = [{one.name(n) for n in range(len(one))} for one in (train, val)]
    assert names[0] | names[1] == {f"{n:04d}" for n in range(40)}
    assert not names[0] & names[1]
    assert 1 <= len(names[1]) <= 16
    number = int(val.name(0))
    assert val.image(0).tolist() == image(number).tolist()
    assert "20 % of the samples are val" in " ".join(found.notes)


def test_shards_of_no_split_beside_others_are_left_out_with_a_note(tmp_path: Path) -> None:
    folder = _shards(tmp_path / "s", pairs(2))
    write_tar(tmp_path / "s/extra.tar", pairs(2))
    found = describe_shards(folder)
    assert "not used, since their names say no split: extra.tar" in " ".join(found.notes)
    assert len(found.open("train")) == 2


def test_a_pattern_of_one_split_lacks_the_other_unless_it_is_given(tmp_path: Path) -> None:
    _shards(tmp_path / "s", pairs(2))
    found = describe_shards(f"{tmp_path}/s/train-{{0..0}}.tar")
    assert len(found.open("train")) == 2
    with pytest.raises(InputError, match=r"no shards of the split 'val'.*data\.val_split="):
        found.open("val")
    val = found.open(f"{tmp_path}/s/val-{{0..0}}.tar")
    assert (val.name(0), val.split) == ("0500", "val")


def test_a_shard_that_is_missing_is_named(tmp_path: Path) -> None:
    _shards(tmp_path / "s", pairs(1))
    with pytest.raises(InputError, match=r"cannot read the shard .*train-1\.tar: No such file"):
        describe_shards(f"{tmp_path}/s/train-{{0..1}}.tar").open("train")


def test_a_folder_with_pictures_is_no_folder_of_shards(tmp_path: Path) -> None:
    assert are_shards(_shards(tmp_path / "s", pairs(1)))
    save(tmp_path / "images/a.png", gray())
    write_tar(tmp_path / "backup.tar", {})
    assert not are_shards(str(tmp_path))
    assert not are_shards(str(tmp_path / "images"))
    (tmp_path / "empty").mkdir()
    assert not are_shards(str(tmp_path / "empty"))
    with pytest.raises(InputError, match="holds no shards"):
        describe_shards(str(tmp_path / "empty"))


def test_patterns_become_absolute_and_other_texts_stay(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    assert in_every_folder("a/val-{0..3}.tar") == f"{tmp_path}/a/val-{{0..3}}.tar"
    assert in_every_folder("s3://b/c") == "s3://b/c"
    assert in_every_folder("val") == "val"
