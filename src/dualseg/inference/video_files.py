"""Videos as OpenCV decodes and encodes them; what it does not say of them is found out here."""

import os
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import NamedTuple

import cv2
import numpy as np
from numpy.typing import NDArray

from dualseg.core.errors import InputError
from dualseg.core.files import new_file
from dualseg.inference.own_results import mark_mp4
from dualseg.inference.utf8_names import utf8_name

CODEC = "mp4v"
USUAL_FPS = 25.0
LIKELY_FPS = (1.0, 240.0)
"""Of frames that come at varying times, OpenCV reports the finest step of their clock."""
PROBE_BYTES = 1 << 20

Frame = NDArray[np.uint8]


class VideoFacts(NamedTuple):
    """fps: Frames a second. announced: Frames by the header; 0 where it does not say."""

    fps: float
    announced: int


def look_at(path: Path) -> VideoFacts:
    """Speed and length of a video; one whose header does not say them is decoded for its speed.

    Raises:
        InputError: It cannot be decoded.
    """
    with opened_video(path) as capture:
        fps, announced = capture.get(cv2.CAP_PROP_FPS), capture.get(cv2.CAP_PROP_FRAME_COUNT)
    if announced >= 1 and LIKELY_FPS[0] <= fps <= LIKELY_FPS[1]:
        return VideoFacts(fps, int(announced))
    return VideoFacts(_mean_fps(path), 0)


def _mean_fps(path: Path) -> float:
    """By the times at which frames are shown."""
    times = []
    with opened_video(path) as capture:
        while capture.grab():
            times.append(capture.get(cv2.CAP_PROP_POS_MSEC))
    if len(times) > 1 and times[-1] > times[0]:
        mean = 1000 * (len(times) - 1) / (times[-1] - times[0])
        return max(0.01, round(mean, 2))  # MPEG-4 keeps no more digits
    warnings.warn(
        f"{path} does not say how fast its frames follow each other; taken to be {USUAL_FPS:g} a "
        "second",
        stacklevel=2,
    )
    return USUAL_FPS


@contextmanager
def opened_video(path: Path) -> Iterator[cv2.VideoCapture]:
    """A video for reading.

    Raises:
        InputError: It cannot be decoded, or its name is no UTF-8.
    """
    capture = cv2.VideoCapture(utf8_name(path, "OpenCV"))
    try:
        if not capture.isOpened():
            raise InputError(f"{path} cannot be decoded as a video; convert it to an H.264 mp4")
        yield capture
    finally:
        capture.release()


def frames_of(capture: cv2.VideoCapture) -> Iterator[Frame]:
    """RGB, one after the other."""
    while True:
        is_there, frame = capture.read()
        if not is_there:
            return
        yield cv2.cvtColor(frame, cv2.COLOR_BGR2RGB)  # type: ignore[misc]


class NewVideo:
    """An mp4 being written; `count` frames are in it so far."""

    def __init__(self, writer: cv2.VideoWriter):
        self.writer = writer
        self.count = 0

    def write(self, frame: Frame) -> None:
        """Appends (H, W, 3) RGB."""
        self.writer.write(cv2.cvtColor(frame, cv2.COLOR_RGB2BGR))
        self.count += 1


@contextmanager
def new_video(path: Path, size: tuple[int, int], fps: float) -> Iterator[NewVideo]:
    """Stands under its name when the block ends well and every frame is in it.

    Args:
        path: Ends in .mp4.
        size: (height, width) of the frames.
        fps: Frames a second.

    Raises:
        InputError: It cannot be written; DiskFullError where space ran out.
    """
    codec = cv2.VideoWriter.fourcc(*CODEC)
    with new_file(path) as temporary:
        name = utf8_name(temporary, "OpenCV")
        writer = cv2.VideoWriter(name, codec, fps, (size[1], size[0]))
        try:
            if not writer.isOpened():
                raise InputError(
                    f"cannot write {path}: this OpenCV has no {CODEC} encoder, or the folder "
                    "cannot be written to; give --write labels for frames as PNG"
                )
            video = NewVideo(writer)
            yield video
        finally:
            writer.release()
        written = _frames_in(temporary)
        if written != video.count:
            _require_space(temporary)
            raise InputError(
                f"cannot write {path}: OpenCV kept {written} of {video.count} frames; give --write "
                "labels for frames as PNG"
            )
        mark_mp4(temporary)


def _frames_in(path: Path) -> int:
    """0 for what cannot be decoded."""
    try:
        with opened_video(path) as capture:
            return int(capture.get(cv2.CAP_PROP_FRAME_COUNT)) if capture.grab() else 0
    except InputError:
        return 0


def _require_space(path: Path) -> None:
    """OpenCV does not say why it stopped writing; the system does.

    Raises:
        OSError: The disk is full, or the file may not grow.
    """
    with open(path, "ab") as file:
        file.write(bytes(PROBE_BYTES))
        file.flush()
        os.fsync(file.fileno())
