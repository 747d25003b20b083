"""Bad data, a file for each kind: the check names code and file, and changes nothing.

Rows that concern folders (a missing or an extra mask, two files of one stem) stand in
test_folder.py.
"""

import os
import struct
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from pictures import bomb_header, gray, save, save_palette
from PIL import Image

from dualseg.core.labels import LabelSpec, voc_palette
from dualseg.data.checking import check_records
from dualseg.data.checking.checker import check_dataset
from dualseg.data.dataset import FileDataset, Pair
from dualseg.data.faults import CODES, DatasetError, Fault

LABELS = LabelSpec(("a", "b"), ((0, 0, 0), (9, 9, 9)))
GOOD = np.array([[0, 1, 255], [1, 0, 0]], np.uint8)


def _turned_image(image: Path, label: Path) -> None:
    exif = Image.Exif()
    exif[0x0112] = 6
    Image.fromarray(gray(2, 3)).save(image, exif=exif)


def _five_bands(image: Path, label: Path) -> None:
    """A TIFF header for 3x2 pixels of five bands of 16 bits."""
    entries = [(256, 3, 3), (257, 3, 2), (258, 3, 16), (262, 3, 1), (273, 4, 8), (277, 3, 5)]
    directory = struct.pack("<H", len(entries))
    for tag, kind, value in entries:
        directory += struct.pack("<HHII", tag, kind, 1, value)
    image.write_bytes(b"II*\0" + struct.pack("<I", 8) + directory + bytes(64))


def _label(pixels: object, dtype: type = np.uint8) -> Callable[[Path, Path], object]:
    return lambda image, label: save(label, pixels, dtype)


def _bytes(content: bytes) -> Callable[[Path, Path], object]:
    return lambda image, label: image.write_bytes(content)


def _cut(image: Path, label: Path) -> None:
    save(image, np.random.default_rng(0).integers(0, 255, (40, 40, 3)))
    image.write_bytes(image.read_bytes()[:-2])


def _loop(image: Path, label: Path) -> None:
    image.unlink()
    image.symlink_to(image)


def _dangling(image: Path, label: Path) -> None:
    image.unlink()
    image.symlink_to(image.parent / "gone.jpg")


def _float_image(image: Path, label: Path) -> None:
    Image.fromarray(np.array([[0, 1, np.nan], [1, 0, np.inf]], np.float32)).save(image, "TIFF")


TABLE = {
    "size": ("E101", "x.jpg", _label([[0, 1]]), "is 2x3 (height x width), its label", "equal"),
    "turned": ("E101", "x.jpg", _turned_image, "is 3x2", "EXIF orientation 6"),
    "turned label": ("E101", "x.jpg", _label([[0, 1]] * 3), "is 2x3", "turned by 90 degrees"),
    "no image": ("E102", "x.jpg", lambda image, label: image.unlink(), "is not there", "restore"),
    "no mask": ("E102", "x.png", lambda image, label: label.unlink(), "is not there", "restore"),
    "dangling": ("E102", "x.jpg", _dangling, "is a link to", "remove the link"),
    "loop": ("E102", "x.jpg", _loop, "loop", "link"),
    "folder": (
        "E102",
        "x.jpg",
        lambda image, label: (image.unlink(), image.mkdir()),
        "is a folder",
        "file",
    ),
    "unknown": ("E103", "x.png", _label([[0, 7, 7], [1, 0, 0]]), "7 (2 pixels)", "{7: 255}"),
    "ids from 1": ("E103", "x.png", _label([[1, 2, 2], [1, 1, 2]]), "2 (3 pixels)", "{1: 0"),
    "uint16": (
        "E103",
        "x.png",
        _label([[0, 256, 300], [65535, 0, 0]], np.uint16),
        "256 (1 pixels), 300 (1 pixels), 65535 (1 pixels)",
        "dataset.yaml",
    ),
    "voc palette": (
        "E103",
        "x.png",
        lambda image, label: save_palette(label, [[0, 9, 9], [1, 0, 0]], list(voc_palette(256))),
        "9 (2 pixels)",
        "its palette is PASCAL VOC's",
    ),
    "colour mask": ("E104", "x.png", _label(gray(2, 3)), "is a colour picture", "palette PNG"),
    "float mask": (
        "E104",
        "x.png",
        lambda image, label: Image.fromarray(np.zeros((2, 3), np.float32)).save(label, "TIFF"),
        "is a floating-point picture",
        "palette PNG",
    ),
    "16 bit": (
        "E106",
        "x.jpg",
        lambda image, label: Image.fromarray(np.ones((2, 3), np.uint16)).save(image, "PNG"),
        "more than 8 bits a channel",
        "convert it to 8-bit RGB",
    ),
    "nan": ("E107", "x.jpg", _float_image, "2 values that are no number", "fill them"),
    "bands": ("E108", "x.jpg", _five_bands, "5 bands of 16 bits", "8-bit gray or RGB"),
    "cut": ("E110", "x.jpg", _cut, "cannot be read as image", "fetch it again"),
    "empty": ("E111", "x.jpg", _bytes(b""), "is empty (zero bytes)", "fetch it again"),
    "html": ("E111", "x.jpg", _bytes(b"<html>"), "a failed download?", "fetch it again"),
    "other": ("E111", "x.jpg", _bytes(b"%PDF-1.7"), "is a PDF", "save it in one of"),
    "bomb": (
        "E112",
        "x.jpg",
        _bytes(bomb_header(65535, 65535)),
        "more than 178,956,970 pixels",
        "tiles",
    ),
}


def _faults(pairs: tuple[Pair, ...], labels: LabelSpec = LABELS) -> tuple[Fault, ...]:
    with pytest.raises(DatasetError) as caught:
        check_dataset(FileDataset(pairs, labels, "train"), use_records=False)
    return caught.value.faults


def _pair(folder: Path, name: str = "x") -> Pair:
    image = save(folder / f"{name}.jpg", gray(2, 3))
    return Pair(name, image, save(folder / f"{name}.png", GOOD))


def _state(folder: Path) -> dict[Path, tuple[bytes, int]]:
    files = [path for path in folder.iterdir() if path.is_file()]
    return {path: (path.read_bytes(), path.stat().st_mtime_ns) for path in files}


@pytest.mark.parametrize("row", TABLE, ids=str)
def test_every_kind_of_bad_file_is_named_with_its_code_and_left_alone(
    tmp_path: Path, row: str
) -> None:
    code, name, spoil, found, fix = TABLE[row]
    pair = _pair(tmp_path)
    spoil(pair.image, pair.label)
    before = _state(tmp_path)
    (fault,) = _faults((_pair(tmp_path, "good"), pair))
    assert fault.code == code
    assert Path(fault.file).name == name
    assert found in fault.found
    assert fix in fault.fix
    assert name in str(fault)
    assert fault.code in str(fault)
    kept = {path: facts for path, facts in _state(tmp_path).items() if path.stem != "good"}
    assert kept == before


def test_a_binary_mask_is_offered_its_meaning(tmp_path: Path) -> None:
    pair = _pair(tmp_path)
    save(pair.label, [[0, 255, 255], [0, 0, 0]])
    labels = LabelSpec(("a", "b"), ((0, 0, 0), (9, 9, 9)), {0: 0, 1: 1})
    (fault,) = _faults((pair,), labels)
    assert "255 (2 pixels)" in fault.found
    assert "values: {0: 0, 255: 1}" in fault.fix


@pytest.mark.skipif(os.name == "nt" or os.geteuid() == 0, reason="root may read everything")
def test_a_file_without_the_right_to_read_is_named(tmp_path: Path) -> None:
    pair = _pair(tmp_path)
    pair.image.chmod(0)
    (fault,) = _faults((pair,))
    assert (fault.code, "Permission denied" in fault.found) == ("E102", True)


def test_messages_stand_in_the_order_of_the_data_set(tmp_path: Path) -> None:
    pairs = tuple(_pair(tmp_path, f"{number:03}") for number in range(150))
    for pair in pairs[::2]:
        save(pair.label, [[0, 1]])
    faults = _faults(pairs)
    assert [fault.file for fault in faults] == [str(pair.image) for pair in pairs[::2]]


@pytest.mark.parametrize("name", ["strasse ü 街", "a b", "line\nbreak", "\x1b[31mred", "-rf"])
def test_names_of_every_kind_are_read_and_named_on_one_line(tmp_path: Path, name: str) -> None:
    good = _pair(tmp_path, name)
    assert check_dataset(FileDataset((good,), LABELS, "train")).num_images == 1
    save(good.label, [[0, 1]])
    (fault,) = _faults((good,))
    assert fault.file == str(good.image)
    assert "\n" not in str(fault).replace(str(good.label), "")
    assert "\x1b" not in str(fault).split(";")[0].split(" is 2x3")[0]


@pytest.mark.skipif(os.name == "nt", reason="names are text there")
def test_a_name_that_is_no_utf_8_can_be_printed(tmp_path: Path) -> None:
    name = os.fsdecode(b"caf\xe9")
    try:
        pair = _pair(tmp_path, name)
    except OSError:
        pytest.skip("the file system refuses such names")
    save(pair.label, [[0, 1]])
    (fault,) = _faults((pair,))
    assert fault.to_dict()["file"].encode().endswith(b"caf\\udce9.jpg")


def test_a_link_to_a_file_is_followed(tmp_path: Path) -> None:
    pair = _pair(tmp_path)
    link = tmp_path / "link.jpg"
    link.symlink_to(pair.image)
    dataset = FileDataset((Pair("x", link, pair.label),), LABELS, "train")
    assert check_dataset(dataset).num_images == 1


def test_images_of_several_modes_are_a_table(tmp_path: Path) -> None:
    first, second, third = (_pair(tmp_path, name) for name in "abc")
    Image.fromarray(gray(2, 3)).convert("L").save(second.image)
    Image.fromarray(gray(2, 3)).convert("LA").save(third.image, "PNG")
    summary = check_dataset(FileDataset((first, second, third), LABELS, "train"))
    assert summary.kinds == {"RGB": 1, "L": 1, "LA": 1}
    (warning,) = summary.warnings
    assert warning.code == "W206"
    assert "1 L, 1 LA, 1 RGB (alpha dropped)" in warning.found


def test_images_without_a_labelled_pixel_are_counted(tmp_path: Path) -> None:
    first, second = (_pair(tmp_path, name) for name in "ab")
    save(second.label, [[255] * 3] * 2)
    summary = check_dataset(FileDataset((first, second), LABELS, "train"), much_ignored=1.0)
    assert summary.num_all_ignored == 1
    (warning,) = summary.warnings
    assert warning.code == "W205"
    assert str(second.label) in warning.found


def test_an_image_of_one_pixel_is_read(tmp_path: Path) -> None:
    image, label = save(tmp_path / "a.png", gray(1, 1)), save(tmp_path / "b.png", [[1]])
    summary = check_dataset(FileDataset((Pair("a", image, label),), LABELS, "train"))
    assert summary.pixels_per_class == (0, 1)


def test_every_code_is_documented() -> None:
    assert {row[0] for row in TABLE.values()} <= set(CODES)


@pytest.mark.parametrize(
    ("orientation", "width", "label_orientation", "warned"),
    [(1, 3, 1, False), (3, 3, 1, True), (2, 3, 1, True), (6, 2, 1, True), (3, 3, 3, False)],
)
def test_an_image_that_exif_turns_without_its_label_is_named(
    orientation: int,
    width: int,
    label_orientation: int,
    warned: bool,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(check_records, "SECONDS_WORTH_RECORDING", 0.0)
    files = tmp_path / "x.jpg", tmp_path / "x.png"
    for path, turn in zip(files, (orientation, label_orientation), strict=True):
        exif = Image.Exif()
        exif[0x0112] = turn
        Image.new("L", (width, 2)).save(path, exif=exif)
    dataset = FileDataset((Pair("x", *files),), LABELS, "train")
    for _ in ("decoded", "from the records"):
        found = check_dataset(dataset, records=tmp_path / "checks").warnings
        assert [w.found for w in found if w.code == "W207"] == (
            ["has 1 image that EXIF turns, and not their labels: x"] if warned else []
        )
