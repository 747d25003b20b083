"""What is missing at the end of a video is told; what comes at varying times is not missing."""

import struct
import warnings
from pathlib import Path

import pytest

from dualseg.core.errors import InputError
from dualseg.inference.video_files import VideoFacts
from dualseg.inference.video_length import movie_seconds, require_all_decoded

FACTS = VideoFacts(fps=10.0, announced=100)


def box(kind: bytes, content: bytes) -> bytes:
    return struct.pack(">I4s", 8 + len(content), kind) + content


def movie(seconds: float, *, wide: bool = False) -> bytes:
    times = (0, 0, 600, int(600 * seconds))
    header = struct.pack(">4xQQIQ" if wide else ">4xIIII", *times)
    if wide:
        header = b"\1" + header[1:]
    data = struct.pack(">I4sQ", 1, b"mdat", 16 + 50) + bytes(50)
    return box(b"ftyp", b"isom") + data + box(b"moov", box(b"mvhd", header + bytes(80)))


@pytest.mark.parametrize("name", ["x.avi", "x.mkv", "x.mpg", "x.mp4"])
@pytest.mark.parametrize("count", [97, 100, 105])
def test_a_frame_more_or_less_is_no_fault(tmp_path: Path, name: str, count: int) -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        require_all_decoded(tmp_path / name, FACTS, count, 5.0)


@pytest.mark.parametrize("name", ["x.avi", "x.mkv", "x.mp4"])
def test_an_early_end_is_refused(tmp_path: Path, name: str) -> None:
    with pytest.raises(InputError, match="decoded 60 of 100 frames; is it cut off or damaged"):
        require_all_decoded(tmp_path / name, FACTS, 60, 6.0)


@pytest.mark.parametrize(("name", "count", "end"), [("x.mkv", 60, 10.0), ("x.mkv", 90, 9.0)])
def test_fewer_frames_in_the_same_time_are_a_warning(
    tmp_path: Path, name: str, count: int, end: float
) -> None:
    """The second: in Matroska the length announced may be that of the sound."""
    with pytest.warns(UserWarning, match=f"decoded {count} of about 100 frames"):
        require_all_decoded(tmp_path / name, FACTS, count, end)


def test_where_the_length_is_an_estimate_an_early_end_is_a_warning(tmp_path: Path) -> None:
    with pytest.warns(UserWarning, match="decoded 60 of about 100 frames"):
        require_all_decoded(tmp_path / "x.mpg", FACTS, 60, 6.0)


def test_a_video_of_unknown_length_is_what_can_be_decoded(tmp_path: Path) -> None:
    require_all_decoded(tmp_path / "x.webm", VideoFacts(25.0, 0), 60, 6.0)


@pytest.mark.parametrize("wide", [False, True])
def test_what_an_edit_list_leaves_out_is_not_missing(tmp_path: Path, wide: bool) -> None:
    path = tmp_path / "trimmed.mp4"
    path.write_bytes(movie(6.0, wide=wide))
    assert movie_seconds(path) == 6.0
    require_all_decoded(path, FACTS, 60, 6.0)
    with pytest.raises(InputError, match="decoded 50 of 60 frames"):
        require_all_decoded(path, FACTS, 50, 5.0)


@pytest.mark.parametrize("content", [b"", b"no movie at all", box(b"ftyp", b""), bytes(99)])
def test_what_is_no_movie_has_no_length(tmp_path: Path, content: bytes) -> None:
    (tmp_path / "x.mp4").write_bytes(content)
    assert movie_seconds(tmp_path / "x.mp4") is None
