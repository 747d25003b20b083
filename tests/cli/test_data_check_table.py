"""Bad input, row by row: what `dualseg data check` tells a user, and that it only reads.

Rows that a single file tells stand in tests/data/test_check_table.py too, reader by reader.
"""

import os
import shutil
import struct
import zlib

import numpy as np
import pytest
from PIL import Image


def _image(folder, name):
    return folder / "images" / name


def _mask(folder, name):
    return folder / "masks" / name


def _save(path, pixels, **options):
    Image.fromarray(np.asarray(pixels)).save(path, **options)


def no_mask(folder):
    _mask(folder, "3.png").unlink()


def no_image(folder):
    _image(folder, "3.png").unlink()


def same_stem(folder):
    shutil.copy(_image(folder, "3.png"), _image(folder, "3.jpg"))


def same_stem_in_capitals(folder):
    for part in (_image, _mask):
        shutil.copy(part(folder, "3.png"), part(folder, "a3.png"))
        shutil.copy(part(folder, "4.png"), part(folder, "A3.png"))


def other_size(folder):
    _save(_mask(folder, "3.png"), np.zeros((40, 50), np.uint8))


def lost_orientation(folder):
    turned = Image.open(_image(folder, "3.png")).convert("RGB")
    exif = Image.Exif()
    exif[0x0112] = 6
    _image(folder, "3.png").unlink()
    turned.save(_image(folder, "3.jpg"), exif=exif)


def cut_off(folder):
    path = _image(folder, "3.png")
    path.write_bytes(path.read_bytes()[:-40])


def zero_bytes(folder):
    _image(folder, "3.png").write_bytes(b"")


def web_page(folder):
    _image(folder, "3.png").rename(_image(folder, "3.jpg"))
    _image(folder, "3.jpg").write_bytes(b"<!DOCTYPE html><html></html>")


def dangling(folder):
    _image(folder, "3.png").unlink()
    _image(folder, "3.png").symlink_to(folder / "gone.png")


def loop(folder):
    _image(folder, "3.png").unlink()
    _image(folder, "3.png").symlink_to(_image(folder, "3.png"))


def no_numbers(folder):
    _image(folder, "3.png").unlink()
    pixels = np.full((40, 56), 0.5, np.float32)
    pixels[0, :2] = np.nan
    _save(_image(folder, "3.tif"), pixels)
    (folder / "dataset.yaml").write_text("max_value: 1\n")


def sixteen_bits(folder):
    _save(_image(folder, "3.png"), np.full((40, 56), 4000, np.uint16))


def class_beyond(folder):
    (folder / "dataset.yaml").write_text("values: {0: 0, 255: 1}\n")
    mask = np.array(Image.open(_mask(folder, "3.png")))
    mask[:2] = 7
    _save(_mask(folder, "3.png"), mask)


def sixteen_bit_ids(folder):
    (folder / "dataset.yaml").write_text("values: {0: 0, 255: 1}\n")
    mask = np.array(Image.open(_mask(folder, "3.png"))).astype(np.uint16)
    mask[0] = 256
    _save(_mask(folder, "3.png"), mask)


def one_coloured(folder):
    _save(_mask(folder, "3.png"), np.full((40, 56, 3), (200, 0, 0), np.uint8))


def cut_off_mask(folder):
    path = _mask(folder, "3.png")
    path.write_bytes(path.read_bytes()[:60])


def zero_bytes_mask(folder):
    _mask(folder, "3.png").write_bytes(b"")


def dangling_mask(folder):
    _mask(folder, "3.png").unlink()
    _mask(folder, "3.png").symlink_to(folder / "gone.png")


def huge_mask(folder):
    """Its header alone announces the size."""
    small = _mask(folder, "3.png").read_bytes()
    head = b"IHDR" + struct.pack(">II", 20000, 20000) + small[24:29]
    crc = struct.pack(">I", zlib.crc32(head))
    _mask(folder, "3.png").write_bytes(small[:12] + head + crc + small[33:])


def all_is_255(folder):
    for path in (folder / "masks").iterdir():
        _save(path, np.full((40, 56), 255, np.uint8))


def control_characters(folder):
    """A name that would start a new line and colour a terminal, in a message that tells it."""
    shutil.copy(_image(folder, "3.png"), _image(folder, "x\ny\x1b[31m.png"))
    _save(_mask(folder, "x\ny\x1b[31m.png"), np.full((40, 56), 7, np.uint8))


def smeared(folder):
    for path in (folder / "masks").iterdir():
        _save(path.with_suffix(".jpg"), Image.open(path), quality=30)
        path.unlink()


def one_class(folder):
    for path in (folder / "masks").iterdir():
        _save(path, np.zeros((40, 56), np.uint8))


def no_pictures(folder):
    for path in (folder / "images").iterdir():
        path.rename(path.with_suffix(".txt"))


def not_utf8(folder):
    """A name that is no text; the mask beside it is of another size."""
    name = os.fsdecode(b"caf\xe9.png")
    try:
        shutil.copy(_image(folder, "3.png"), _image(folder, name))
    except OSError:
        pytest.skip("the file system refuses such names")
    _save(_mask(folder, name), np.zeros((4, 4), np.uint8))


FAULTS = {
    no_mask: ("E100", "1 images have no mask in masks: images/3.png"),
    no_image: ("E100", "1 masks have no image in images: masks/3.png"),
    same_stem: ("E100", "2 files share their name with another one: images/3.jpg, images/3.png"),
    same_stem_in_capitals: ("E100", "images/A3.png, images/a3.png, masks/A3.png, masks/a3.png"),
    other_size: ("E101", "images/3.png is 40x56 (height x width), its label"),
    lost_orientation: ("E101", "3.jpg is 56x40 (height x width)"),
    cut_off: ("E110", "images/3.png cannot be read as image"),
    zero_bytes: ("E111", "images/3.png is empty (zero bytes)"),
    web_page: ("E111", "looks like"),
    dangling: ("E102", "images/3.png is a link to"),
    loop: ("E102", "images/3.png is a link that leads back to itself (a loop)"),
    no_numbers: ("E107", "3.tif holds 2 values that are no number (NaN or infinite)"),
    sixteen_bits: ("E106", "images/3.png"),
    class_beyond: ("E103", "masks/3.png holds label values 7 (112 pixels) that are no class"),
    sixteen_bit_ids: ("E103", "256 (56 pixels)"),
    one_coloured: ("E104", "masks/3.png is a colour picture, but others hold one class id a pixel"),
    cut_off_mask: ("E110", "masks/3.png cannot be read as"),
    zero_bytes_mask: ("E111", "masks/3.png is empty (zero bytes)"),
    dangling_mask: ("E102", "masks/3.png is a link to"),
    huge_mask: ("E112", "masks/3.png is 20000x20000, more than 178,956,970 pixels"),
    all_is_255: ("E100", "the masks hold one class only"),
    control_characters: ("E100", "masks/x\\ny\\x1b[31m.png"),
    smeared: ("E100", "8 masks are JPEG"),
    one_class: ("E100", "the masks hold one class only"),
    no_pictures: ("E100", "images holds no picture; found 8 files with .txt"),
    not_utf8: ("E101", "caf\\udce9.png"),
}
FIXES = {
    lost_orientation: "EXIF orientation 6",
    web_page: "a failed download?",
    class_beyond: "values: {7: 255} to ignore it",
    smeared: "write into dataset.yaml: values: {0: 0, 255: 1} and snap: true",
    sixteen_bits: "max_value",
}


def _state(folder):
    files = [path for path in folder.rglob("*") if path.is_file()]
    return {path: (path.read_bytes(), path.stat().st_mtime_ns) for path in files}


@pytest.mark.parametrize("spoil", FAULTS, ids=lambda spoil: spoil.__name__)
def test_a_fault_is_told_with_code_file_and_fix_and_nothing_is_changed(dualseg, street, spoil):
    spoil(street)
    before = _state(street)
    code, message = FAULTS[spoil]
    done = dualseg("data", "check", street)
    assert done.code == 2
    assert f"{code} " in done.stderr
    assert message in done.stderr
    assert FIXES.get(spoil, "") in done.stderr
    assert "Traceback" not in done.stderr
    found = dualseg("data", "check", street, "--json")
    assert found.code == 2
    assert code in {fault["code"] for fault in found.json["faults"]}
    assert _state(street) == before


def test_damaged_masks_do_not_hide_other_faults(dualseg, street):
    """Without all masks the classes are unknown; images and sizes are looked at all the same."""
    zero_bytes_mask(street)
    _save(_mask(street, "4.png"), np.zeros((40, 50), np.uint8))
    _image(street, "5.png").write_bytes(b"")
    _image(street, "6.png").write_bytes(b"<html>")
    _mask(street, "6.png").write_bytes(b"")
    found = dualseg("data", "check", street, "--json").json["faults"]
    told = sorted((fault["code"], "/".join(fault["file"].split("/")[-2:])) for fault in found)
    assert told == [
        ("E101", "images/4.png"),
        ("E111", "images/5.png"),
        ("E111", "images/6.png"),
        ("E111", "masks/3.png"),
        ("E111", "masks/6.png"),
    ]
    training = dualseg("train", "--data", street, "--out", street.parent / "run")
    assert training.code == 2
    assert "masks/3.png is empty" in training.stderr
    assert "images/5.png is empty" in training.stderr


def test_what_has_no_partner_can_be_left_out_as_the_message_says(dualseg, street):
    no_mask(street)
    assert "allow_missing: true in dataset.yaml" in dualseg("data", "check", street).stderr
    same_stem(street)
    (street / "dataset.yaml").write_text("allow_missing: true\n")
    assert "allow_missing" not in dualseg("data", "check", street).stderr


def _split(folder):
    """The street as train/ and val/, the last two images in val."""
    for part in ("images", "masks"):
        for split, numbers in (("train", range(6)), ("val", (6, 7))):
            (folder / part / split).mkdir()
            for number in numbers:
                (folder / part / f"{number}.png").rename(folder / part / split / f"{number}.png")


def test_an_image_in_two_splits_is_a_warning(dualseg, street):
    _split(street)
    for part in ("images", "masks"):
        shutil.copy(street / part / "train/0.png", street / part / "val/other.png")
    done = dualseg("data", "check", street)
    assert done.code == 0
    assert "W203 train and val: 1 images stand in train and in val" in done.stderr
    assert "train/0.png" in done.stderr
    assert "val/other.png" in done.stderr


def test_an_image_twice_in_a_split_is_a_warning(dualseg, street):
    _split(street)
    for part in ("images", "masks"):
        shutil.copy(street / part / "train/0.png", street / part / "train/other.png")
    done = dualseg("data", "check", street)
    assert done.code == 0
    assert "W204 train has 1 image more than once" in done.stderr


def test_classes_without_a_pixel_and_much_ignored_are_warnings(dualseg, street):
    (street / "dataset.yaml").write_text("values: {0: 255, 255: 1, 1: 0}\n")
    done = dualseg("data", "check", street)
    assert done.code == 0
    assert "W201 train has no pixel of: background" in done.stderr
    assert "W202 train has 8" in done.stderr
    assert "W202" not in dualseg("data", "check", street, "--ignored", "0.99").stderr


def test_images_without_a_labelled_pixel_are_a_warning(dualseg, street):
    (street / "dataset.yaml").write_text("values: {0: 0, 255: 1, 9: 255}\n")
    _save(_mask(street, "3.png"), np.full((40, 56), 9, np.uint8))
    done = dualseg("data", "check", street)
    assert done.code == 0
    assert "has 1 image without a labelled pixel" in done.stderr


def test_an_empty_folder_names_what_was_looked_for(dualseg, tmp_path):
    (tmp_path / "empty").mkdir()
    done = dualseg("data", "check", tmp_path / "empty")
    assert done.code == 2
    assert "has no image folder (looked for images, image," in done.stderr
    assert "it is empty" in done.stderr


def test_names_with_spaces_and_letters_of_any_script_are_read(dualseg, street):
    for part in ("images", "masks"):
        (street / part / "3.png").rename(street / part / "stra\u00dfe \u8857 3.png")
        (street / part / "4.png").rename(street / part / "line\nbreak.png")
    assert dualseg("data", "check", street).code == 0
