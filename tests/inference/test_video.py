"""Video in, video out."""

from pathlib import Path

import cv2
import numpy as np
import pytest
from PIL import Image

from dualseg.core.errors import InputError
from dualseg.inference.files import PredictOptions, predict_files
from dualseg.inference.predictor import Predictor
from dualseg.inference.video import find_inputs

FRAMES = 5


@pytest.fixture
def video(tmp_path: Path) -> Path:
    """Frame n is bright on its left n eighths."""
    path = tmp_path / "in" / "drive.avi"
    path.parent.mkdir()
    writer = cv2.VideoWriter(str(path), cv2.VideoWriter.fourcc(*"MJPG"), 12.0, (64, 48))
    if not writer.isOpened():
        pytest.skip("this OpenCV writes no video")
    for number in range(FRAMES):
        frame = np.zeros((48, 64, 3), np.uint8)
        frame[:, : 8 * number] = 255
        writer.write(frame)
    writer.release()
    return path


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
