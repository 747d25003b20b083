"""Video in, video out: an overlay video, and a folder of label PNGs, one a frame."""

import os
import re
import shutil
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from pathlib import Path

import cv2
import numpy as np
from numpy.typing import NDArray

from dualseg.core.errors import InputError
from dualseg.core.files import new_file, new_folder
from dualseg.data.pictures.images import write_label_png
from dualseg.inference.crf.settings import CrfSettings
from dualseg.inference.crf_step import refined
from dualseg.inference.inputs import find_images
from dualseg.inference.label_maps import label_map_of
from dualseg.inference.predictor import Predictor, as_pixels, batch_of_one
from dualseg.visual.overlay import blend

VIDEO_SUFFIXES = frozenset({".mp4", ".m4v", ".mov", ".avi", ".mkv", ".webm", ".mpg", ".mpeg"})
USUAL_FPS = 25.0
CODEC = "mp4v"
FRAME_NAME = re.compile(r"frame_\d{6,}\.png")

Frame = NDArray[np.uint8]


def is_video(path: Path) -> bool:
    """By its suffix."""
    return path.suffix.lower() in VIDEO_SUFFIXES


def find_inputs(inputs: Sequence[str | Path]) -> list[Path]:
    """Images as `find_images` finds them, then the videos that are named themselves.

    Raises:
        InputError: As `find_images`, or two videos have the same name before the suffix.
    """
    videos = [Path(given) for given in inputs if os.path.isfile(given) and is_video(Path(given))]
    videos = list(dict.fromkeys(videos))
    others = [given for given in inputs if Path(given) not in videos]
    by_name: dict[str, Path] = {}
    for video in videos:
        if video.stem in by_name:
            raise InputError(
                f"{by_name[video.stem]} and {video} would both be written as "
                f"{video.stem}_overlay.mp4; predict them into different folders"
            )
        by_name[video.stem] = video
    return [*(find_images(others) if others or not videos else []), *videos]


def predict_video(
    predictor: Predictor,
    path: Path,
    files: Mapping[str, Path],
    *,
    crf: CrfSettings | None = None,
    progress: Callable[[int, int], object] | None = None,
) -> None:
    """Predicts every frame by itself.

    Args:
        predictor: Gives the logits.
        path: What OpenCV can decode.
        files: "labels": a folder to make, with `frame_000000.png` and so on. "overlay": an mp4 of
            the size and speed of the video. Either may be missing.
        crf: Refines every frame.
        progress: Called with (done, total) frames; the total is what the file claims.

    Raises:
        InputError: It cannot be decoded, the video cannot be encoded here, or the folder of labels
            stands already and holds something else than frames.
    """
    logits_of = predictor.logits if crf is None else refined(predictor.logits, crf)
    labels = predictor.facts.labels
    with _capture(path) as capture, ExitStack() as stack:
        claimed = max(0, int(capture.get(cv2.CAP_PROP_FRAME_COUNT)))
        folder = (
            stack.enter_context(_replaced_folder(files["labels"])) if "labels" in files else None
        )
        writer: cv2.VideoWriter | None = None
        count = 0
        for frame in _frames(capture):
            pixels = as_pixels(frame, predictor.facts.images)
            label_map = label_map_of(logits_of(batch_of_one(pixels)))
            if folder is not None:
                write_label_png(folder / f"frame_{count:06d}.png", label_map, labels)
            if "overlay" in files:
                if writer is None:
                    fps = capture.get(cv2.CAP_PROP_FPS) or USUAL_FPS
                    size = (frame.shape[0], frame.shape[1])
                    writer = stack.enter_context(_new_video(files["overlay"], size, fps))
                writer.write(cv2.cvtColor(blend(frame, label_map, labels), cv2.COLOR_RGB2BGR))
            count += 1
            if progress is not None:
                progress(count, max(count, claimed))
        if not count:
            raise InputError(f"{path} holds no frame that can be decoded; is it cut off?")


@contextmanager
def _capture(path: Path) -> Iterator[cv2.VideoCapture]:
    capture = cv2.VideoCapture(str(path))
    try:
        if not capture.isOpened():
            raise InputError(f"{path} cannot be decoded as a video; convert it to an H.264 mp4")
        yield capture
    finally:
        capture.release()


def _frames(capture: cv2.VideoCapture) -> Iterator[Frame]:
    """RGB, one after the other."""
    while True:
        is_there, frame = capture.read()
        if not is_there:
            return
        yield cv2.cvtColor(frame, cv2.COLOR_BGR2RGB)  # type: ignore[misc]


@contextmanager
def _new_video(path: Path, size: tuple[int, int], fps: float) -> Iterator[cv2.VideoWriter]:
    """Stands under its name when the block ends well."""
    codec = cv2.VideoWriter.fourcc(*CODEC)
    with new_file(path) as temporary:
        writer = cv2.VideoWriter(str(temporary), codec, fps, (size[1], size[0]))
        try:
            if not writer.isOpened():
                raise InputError(
                    f"cannot write {path}: this OpenCV has no {CODEC} encoder, or the folder "
                    "cannot be written to; give --write labels for frames as PNG"
                )
            yield writer
        finally:
            writer.release()
        with _capture(temporary) as written:
            next(_frames(written))


@contextmanager
def _replaced_folder(path: Path) -> Iterator[Path]:
    """A new folder under this name when the block ends well; an older one goes only then.

    Raises:
        InputError: The older one holds what no earlier prediction wrote.
    """
    there = sorted(item.name for item in path.iterdir()) if path.is_dir() else []
    foreign = [name for name in there if not FRAME_NAME.fullmatch(name)]
    if foreign:
        raise InputError(
            f"{path} would be replaced, and holds {foreign[0]}, which is no frame of an earlier "
            "prediction; move it away, or choose another folder (--out)"
        )
    with new_folder(path) as folder:
        yield folder
        if path.is_dir():
            shutil.rmtree(path)
