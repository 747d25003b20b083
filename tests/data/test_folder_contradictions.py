"""Masks in which a value means one thing here and another there are refused."""

from pathlib import Path

import pytest
from pictures import gray, save, save_palette
from shard_files import image, png, write_tar

from dualseg.config import DataSettings
from dualseg.core.errors import InputError
from dualseg.core.labels import LabelSpec, voc_palette
from dualseg.data.catalog import open_splits
from dualseg.data.checking import check_records
from dualseg.data.checking.mask_facts import scan_masks
from dualseg.data.dataset import FileDataset, Pair
from dualseg.data.datasets.dataset_yaml import read_declaration
from dualseg.data.datasets.folder_masks import describe_masks
from dualseg.data.labels.label_counts import count_classes

BLACK, RED, GREEN = (0, 0, 0), (200, 0, 0), (0, 200, 0)


def _describe(root: Path, *masks: Path, declared: str = "") -> LabelSpec:
    (root / "dataset.yaml").write_text(declared)
    return describe_masks(masks, read_declaration(root), records=root / "checks")[0]


def test_palettes_in_another_order_are_refused(tmp_path: Path) -> None:
    first = save_palette(tmp_path / "a.png", [[0, 1, 2]], [BLACK, RED, GREEN])
    second = save_palette(tmp_path / "b.png", [[0, 1, 2]], [BLACK, GREEN, RED])
    message = r"colour \[0, 200, 0\] is label value 2 in .*a\.png but 1 in .*b\.png"
    with pytest.raises(InputError, match=message):
        _describe(tmp_path, first, second)
    with pytest.raises(InputError, match=message):
        _describe(tmp_path, first, second, declared="class_names: [sky, car, tree]")
    labels = _describe(tmp_path, first, second, declared="values: {0: 0, 1: 1, 2: 2}")
    assert labels.num_classes == 3


@pytest.mark.parametrize(
    ("first", "second"),
    [
        ([BLACK, RED, GREEN], [BLACK, RED, GREEN]),
        ([BLACK, RED, RED], [BLACK, GREEN, GREEN]),  # equal entries tell nothing
        ([BLACK, RED, GREEN], [BLACK, (1, 1, 1), (2, 2, 2)]),
        ([BLACK, RED, GREEN], [(9, 9, 9), (1, 1, 1), GREEN]),
    ],
)
def test_palettes_that_do_not_contradict_each_other_are_read(
    first: list[tuple[int, int, int]], second: list[tuple[int, int, int]], tmp_path: Path
) -> None:
    one = save_palette(tmp_path / "a.png", [[0, 1, 2]], first)
    other = save_palette(tmp_path / "b.png", [[0, 1, 2]], second)
    assert _describe(tmp_path, one, other).num_classes == 3


def test_a_colour_that_no_pixel_has_is_no_contradiction(tmp_path: Path) -> None:
    first = save_palette(tmp_path / "a.png", [[0, 1]], [BLACK, RED, GREEN])
    second = save_palette(tmp_path / "b.png", [[0, 1]], [BLACK, RED, RED, GREEN])
    assert _describe(tmp_path, first, second).num_classes == 2


def test_the_records_keep_the_colours_however_they_came_about(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(check_records, "SECONDS_WORTH_RECORDING", 0.0)
    image = save(tmp_path / "a.jpg", gray(1, 3))
    mask = save_palette(tmp_path / "a.png", [[0, 2, 2]], [BLACK, RED, GREEN])
    labels = LabelSpec(("a", "b", "c"), voc_palette(3))
    count_classes(
        FileDataset((Pair("a", image, mask),), labels, "train"), records=tmp_path / "checks"
    )
    (kept,) = scan_masks([mask], records=tmp_path / "checks")
    assert kept == scan_masks([mask], records=tmp_path / "new")[0]
    assert not isinstance(kept, InputError)
    assert kept.colors == {0: 0, 2: 200 << 8}


def test_a_foreground_drawn_in_two_ways_is_refused(tmp_path: Path) -> None:
    ones, whites = save(tmp_path / "a.png", [[0, 1]]), save(tmp_path / "b.png", [[0, 255]])
    message = r"value 1 \(.*a\.png for example\), others 255 \(.*b\.png for example\), none both"
    with pytest.raises(InputError, match=message):
        _describe(tmp_path, ones, whites)
    with pytest.raises(InputError, match=message):
        _describe(tmp_path, ones, whites, declared="class_names: [street, car]")
    same = _describe(tmp_path, ones, whites, declared="values: {0: 0, 1: 1, 255: 1}")
    assert same.values[255] == 1
    ignored = _describe(tmp_path, ones, whites, declared="ignore_index: 255")
    assert ignored.values[255] == 255
    more = _describe(tmp_path, ones, whites, declared="class_names: [sky, car, tree]")
    assert more.values[255] == 255


def test_a_mask_with_both_tells_that_255_is_ignored(tmp_path: Path) -> None:
    files = [[0, 1]], [[0, 255]], [[0, 1, 255]]
    masks = [save(tmp_path / f"{i}.png", values) for i, values in enumerate(files)]
    assert _describe(tmp_path, *masks).values == {0: 0, 1: 1, 255: 255}


def _open_shards(root: Path) -> None:
    write_tar(root / "val-0.tar", {"v.jpg": png(image(0)), "v.seg.png": png([[0, 0]])})
    open_splits(DataSettings(name="shards", root=str(root), cache="none"))


def test_shards_are_refused_for_the_same_contradictions(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    drawn = [[[0, 1]], [[0, 255]], [[0, 255]]]
    members = {f"{i}.seg.png": png(values) for i, values in enumerate(drawn)}
    pictures = {f"{i}.jpg": png(image(0)) for i in range(3)}
    write_tar(tmp_path / "drawn/train-0.tar", dict(sorted((members | pictures).items())))
    with pytest.raises(InputError, match="none both"):
        _open_shards(tmp_path / "drawn")
    for i, palette in enumerate(([BLACK, RED, GREEN], [BLACK, GREEN, RED])):
        path = save_palette(tmp_path / f"{i}.png", [[0, 1, 2]], palette)
        members[f"{i}.seg.png"] = path.read_bytes()
    del members["2.seg.png"], pictures["2.jpg"]
    write_tar(tmp_path / "painted/train-0.tar", dict(sorted((members | pictures).items())))
    with pytest.raises(InputError, match=r"colour \[0, 200, 0\] is label value 2 in .*0\.seg\.png"):
        _open_shards(tmp_path / "painted")
