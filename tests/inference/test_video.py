"""Video in, video out."""

import itertools
import os
import re
import resource
import struct
from pathlib import Path

import cv2
import numpy as np
import pytest
from PIL import Image

from dualseg.core.errors import InputError
from dualseg.core.files import DiskFullError
from dualseg.inference import video_files
from dualseg.inference.files import PredictOptions, predict_files
from dualseg.inference.inputs import find_inputs
from dualseg.inference.predictor import Predictor

FRAMES = 5


@pytest.fixture
def video(tmp_path: Path) -> Path:
    """Frame n is bright on its left n eighths."""
    path = tmp_path / "in" / "drive.avi"
    path.parent.mkdir()
    frames = np.zeros((FRAMES, 48, 64, 3), np.uint8)
    for number, frame in enumerate(frames):
        frame[:, : 8 * number] = 255
    return write(path, "MJPG", frames)


def write(path: Path, codec: str, frames: np.ndarray) -> Path:
    """12 frames a second."""
    size = (frames.shape[2], frames.shape[1])
    writer = cv2.VideoWriter(str(path), cv2.VideoWriter.fourcc(*codec), 12.0, size)
    if not writer.isOpened():
        pytest.skip("this OpenCV writes no such video")
    for frame in frames:
        writer.write(frame)
    writer.release()
    return path


def noise(count: int, height: int = 48, width: int = 64) -> np.ndarray:
    return np.random.default_rng(0).integers(0, 256, (count, height, width, 3), dtype=np.uint8)


def test_every_frame_is_labelled(predictor: Predictor, video: Path, tmp_path: Path) -> None:
    out = tmp_path / "out"
    (result,) = predict_files(predictor, [video], out)
    assert sorted(path.name for path in out.iterdir()) == ["drive_labels", "drive_overlay.mp4"]
    labels = sorted(result.labels.iterdir())
    assert [path.name for path in labels] == [f"frame_{n:06d}.png" for n in range(FRAMES)]
    for number, path in enumerate(labels):
        label_map = np.asarray(Image.open(path))
        assert abs(int(label_map.sum()) - 48 * 8 * number) < 48 * 3  # compression blurs the edge


def test_overlay_has_size_speed_length_and_colours(
    predictor: Predictor, video: Path, tmp_path: Path
) -> None:
    (result,) = predict_files(predictor, [video], tmp_path / "out")
    capture = cv2.VideoCapture(str(result.overlay))
    assert capture.get(cv2.CAP_PROP_FPS) == pytest.approx(12)
    frames = []
    while (got := capture.read())[0]:
        frames.append(got[1][..., ::-1])
    assert len(frames) == FRAMES
    assert frames[0].shape == (48, 64, 3)
    # White under 55 % of (200, 100, 50); lossy.
    assert frames[4][24, 8].tolist() == pytest.approx([225, 170, 142], abs=25)


def test_again_with_resume_and_without(predictor: Predictor, video: Path, tmp_path: Path) -> None:
    out = tmp_path / "out"
    predict_files(predictor, [video], out)
    (again,) = predict_files(predictor, [video], out, options=PredictOptions(resume=True))
    assert again.was_there
    (out / "drive_labels" / "frame_000099.png").touch()
    (anew,) = predict_files(predictor, [video], out)
    assert len(list(anew.labels.iterdir())) == FRAMES


def test_a_folder_of_other_files_is_not_replaced(
    predictor: Predictor, video: Path, tmp_path: Path
) -> None:
    notes = tmp_path / "out" / "drive_labels" / "notes.txt"
    notes.parent.mkdir(parents=True)
    notes.write_text("mine")
    with pytest.raises(InputError, match="1 of 1") as caught:
        predict_files(predictor, [video], tmp_path / "out")
    assert "drive_labels would be replaced, and holds notes.txt" in caught.value.problems[0]
    assert notes.read_text() == "mine"
    assert [path.name for path in notes.parent.parent.iterdir()] == ["drive_labels"]


def test_frames_that_are_inputs_are_not_replaced(
    predictor: Predictor, video: Path, tmp_path: Path
) -> None:
    (result,) = predict_files(predictor, [video], tmp_path / "out")
    frame = result.labels / "frame_000002.png"
    before = frame.read_bytes()
    with pytest.raises(InputError, match="results would replace inputs"):
        predict_files(predictor, [video, frame], tmp_path / "out")
    assert frame.read_bytes() == before


def test_resume_does_not_take_what_was_refused_for_done(
    predictor: Predictor, video: Path, tmp_path: Path
) -> None:
    out = tmp_path / "out"
    predict_files(predictor, [video], out)
    for kinds in (["color"], ["labels", "color"]):
        options = PredictOptions(write=kinds, resume=True)
        with pytest.raises(InputError, match="labels and overlay are written, not color"):
            predict_files(predictor, [video], out, options=options)


def test_tiles_of_a_video_are_refused(predictor: Predictor, video: Path, tmp_path: Path) -> None:
    options = PredictOptions(tile=(32, 32))
    with pytest.raises(InputError, match="frames of a video are predicted whole; leave out --tile"):
        predict_files(predictor, [video], tmp_path / "out", options=options)


def test_failure_half_way_leaves_nothing(predictor: Predictor, video: Path, tmp_path: Path) -> None:
    real, seen = predictor.logits, []

    def breaks(batch):  # type: ignore[no-untyped-def]
        seen.append(1)
        if len(seen) == 3:
            raise KeyboardInterrupt
        return real(batch)

    predictor.logits = breaks
    with pytest.raises(KeyboardInterrupt):
        predict_files(predictor, [video], tmp_path / "out")
    assert list((tmp_path / "out").iterdir()) == []


def test_what_is_no_video_and_what_videos_cannot_give(
    predictor: Predictor, video: Path, tmp_path: Path
) -> None:
    (tmp_path / "bad.mp4").write_bytes(b"no video")
    with pytest.raises(InputError, match=r"bad\.mp4 cannot be decoded as a video"):
        predict_files(predictor, [tmp_path / "bad.mp4"], tmp_path / "out")
    options = PredictOptions(write=["labels", "contour"])
    with pytest.raises(InputError, match="of a video, labels and overlay are written, not contour"):
        predict_files(predictor, [video], tmp_path / "out", options=options)


def test_videos_stand_behind_the_images(video: Path, tmp_path: Path) -> None:
    image = tmp_path / "x.png"
    image.touch()
    assert find_inputs([video, image]) == [image, video]
    assert find_inputs([video, video]) == [video]
    twin = video.with_suffix(".mp4")
    twin.touch()
    with pytest.raises(InputError, match=r"would both be written as drive_overlay\.mp4"):
        find_inputs([video, twin])
    with pytest.raises(InputError, match="no input given"):
        find_inputs([])


def test_a_video_that_is_cut_off_is_refused_and_leaves_nothing(
    predictor: Predictor, tmp_path: Path
) -> None:
    path = write(tmp_path / "cut.avi", "MJPG", noise(30))
    path.write_bytes(path.read_bytes()[: path.stat().st_size * 6 // 10])
    with pytest.raises(InputError, match="1 of 1 images") as caught:
        predict_files(predictor, [path], tmp_path / "out")
    assert "cut.avi: decoded 18 of 30 frames; is it cut off or damaged?" in caught.value.problems[0]
    assert list((tmp_path / "out").iterdir()) == []


def test_a_name_with_a_colon_is_no_address(
    predictor: Predictor, video: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    video.rename(video.with_name("12:30:05.avi"))
    monkeypatch.chdir(video.parent)
    (result,) = predict_files(predictor, ["12:30:05.avi"], Path("out"))
    assert len(list(result.labels.iterdir())) == FRAMES


def test_names_that_are_no_utf8_are_refused_in_and_out(
    predictor: Predictor, video: Path, tmp_path: Path
) -> None:
    odd = video.rename(video.with_name(os.fsdecode(b"v\xff.avi")))
    with pytest.raises(InputError, match="1 of 1") as caught:
        predict_files(predictor, [odd], tmp_path / "out")
    assert (
        "a name that is no UTF-8, and OpenCV takes no other; rename it" in caught.value.problems[0]
    )
    plain = odd.rename(odd.with_name("v.avi"))
    out = tmp_path / os.fsdecode(b"out\xff")
    with pytest.raises(InputError, match="1 of 1") as caught:
        predict_files(predictor, [plain], out)
    assert "OpenCV takes no other" in caught.value.problems[0]
    assert list(out.iterdir()) == []


def at_varying_times(path: Path, steps: list[int]) -> float:
    """Writes a WebM that says neither how long nor how fast it is; returns its mean speed.

    Voids DefaultDuration and Duration, and gives its blocks, in the one cluster, other times.
    """
    content = write(path, "VP80", np.zeros((30, 48, 64, 3), np.uint8)).read_bytes()
    for element in (rb"\x23\xe3\x83\x84....", rb"\x44\x89\x88........"):
        content, found = re.subn(
            element,
            lambda match: bytes([0xEC, 0x80 | (len(match[0]) - 2)]) + bytes(len(match[0]) - 2),
            content,
            count=1,
            flags=re.DOTALL,
        )
        assert found
    times = [0, *itertools.accumulate(steps[number % len(steps)] for number in range(29))]
    left = iter(times)
    content, found = re.subn(
        rb"(\xa3[\x80-\xff]\x81)..",
        lambda match: match[1] + struct.pack(">h", next(left)),
        content,
        flags=re.DOTALL,
    )
    assert found == len(times)
    path.write_bytes(content)
    return 29 * 1000 / times[-1]


def test_frames_at_varying_times_give_an_overlay_of_the_mean_speed(
    predictor: Predictor, tmp_path: Path
) -> None:
    path = tmp_path / "v.webm"
    mean = at_varying_times(path, [5, 61, 33])
    capture = cv2.VideoCapture(str(path))
    assert capture.get(cv2.CAP_PROP_FPS) > 240
    assert capture.get(cv2.CAP_PROP_FRAME_COUNT) < 0
    (result,) = predict_files(predictor, [path], tmp_path / "out")
    overlay = cv2.VideoCapture(str(result.overlay))
    assert overlay.get(cv2.CAP_PROP_FPS) == pytest.approx(mean, abs=0.01)
    assert overlay.get(cv2.CAP_PROP_FRAME_COUNT) == 30


def test_a_full_disk_is_told_as_such(predictor: Predictor, tmp_path: Path) -> None:
    path = write(tmp_path / "noise.avi", "MJPG", noise(12, 240, 320))
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    options = PredictOptions(write=["overlay"])
    resource.setrlimit(resource.RLIMIT_FSIZE, (100_000, before[1]))
    try:
        with pytest.raises(DiskFullError, match=r"write .*noise_overlay\.mp4 \([\d,]+ bytes free"):
            predict_files(predictor, [path], tmp_path / "out", options=options)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)
    assert list((tmp_path / "out").iterdir()) == []


@pytest.mark.parametrize("kept", [0, 4])
def test_an_overlay_that_lacks_frames_is_not_kept(
    predictor: Predictor,
    video: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    kept: int,
) -> None:
    monkeypatch.setattr(video_files, "_frames_in", lambda path: kept)
    with pytest.raises(InputError, match="1 of 1") as caught:
        predict_files(predictor, [video], tmp_path / "out")
    assert f"OpenCV kept {kept} of {FRAMES} frames" in caught.value.problems[0]
    assert list((tmp_path / "out").iterdir()) == []


def test_results_beside_their_videos_are_no_inputs(predictor: Predictor, video: Path) -> None:
    predict_files(predictor, [video.parent], video.parent)
    options = PredictOptions(resume=True)
    with pytest.warns(UserWarning, match=r"left out: drive_overlay\.mp4"):
        (again,) = predict_files(predictor, [video.parent], video.parent, options=options)
    assert again.was_there
