"""The mark tells what `predict` wrote from what others did."""

import io
from pathlib import Path

import cv2
import numpy as np
from PIL import Image

from dualseg.inference.own_results import is_marked, mark_mp4, marked_png


def png(path: Path) -> bytes:
    Image.new("L", (3, 2), 7).save(path)
    return path.read_bytes()


def test_a_marked_png_is_the_same_picture(tmp_path: Path) -> None:
    plain = png(tmp_path / "x.png")
    assert not is_marked(tmp_path / "x.png")
    (tmp_path / "x.png").write_bytes(marked_png(plain))
    assert is_marked(tmp_path / "x.png")
    with Image.open(io.BytesIO(marked_png(plain))) as picture:
        assert (np.asarray(picture) == 7).all()
        assert picture.info["Software"] == "dualseg predict"


def test_a_picture_that_was_saved_anew_is_the_users(tmp_path: Path) -> None:
    (tmp_path / "x.png").write_bytes(marked_png(png(tmp_path / "x.png")))
    with Image.open(tmp_path / "x.png") as picture:
        picture.load()
        picture.save(tmp_path / "x.png")
    assert not is_marked(tmp_path / "x.png")


def test_a_marked_mp4_is_the_same_video(tmp_path: Path) -> None:
    path = tmp_path / "x.mp4"
    writer = cv2.VideoWriter(str(path), cv2.VideoWriter.fourcc(*"mp4v"), 5, (32, 32))
    for _ in range(3):
        writer.write(np.zeros((32, 32, 3), np.uint8))
    writer.release()
    assert not is_marked(path)
    mark_mp4(path)
    assert is_marked(path)
    capture = cv2.VideoCapture(str(path))
    assert sum(1 for _ in iter(lambda: capture.grab(), False)) == 3


def test_what_cannot_be_read_is_not_marked(tmp_path: Path) -> None:
    (tmp_path / "empty.png").touch()
    (tmp_path / "cut.tif").write_bytes(b"II*\0")
    for name in ("empty.png", "cut.tif", "absent.mp4"):
        assert not is_marked(tmp_path / name)
