"""Video in, video out: an overlay video, and a folder of label PNGs, one a frame."""

import re
import shutil
from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack, contextmanager
from pathlib import Path

import cv2

from dualseg.core.errors import InputError
from dualseg.core.files import new_folder
from dualseg.data.pictures.images import write_label_png
from dualseg.inference.crf.settings import CrfSettings
from dualseg.inference.crf_step import refined
from dualseg.inference.label_maps import label_map_of
from dualseg.inference.predictor import Predictor, as_pixels, batch_of_one
from dualseg.inference.video_files import NewVideo, frames_of, look_at, new_video, opened_video
from dualseg.inference.video_length import require_all_decoded
from dualseg.visual.overlay import blend

FRAME_NAME = re.compile(r"frame_\d{6,}\.png")


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
            the size and mean speed of the video. Either may be missing.
        crf: Refines every frame.
        progress: Called with (done, total) frames; the total is what the file announces.

    Raises:
        InputError: It cannot be decoded to its end, the video cannot be encoded here, or the folder
            of labels stands already and holds something else than frames.
        DiskFullError: No space is left.
    """
    logits_of = predictor.logits if crf is None else refined(predictor.logits, crf)
    labels = predictor.facts.labels
    facts = look_at(path)
    with opened_video(path) as capture, ExitStack() as stack:
        folder = (
            stack.enter_context(_replaced_folder(files["labels"])) if "labels" in files else None
        )
        overlay: NewVideo | None = None
        count, shown_at = 0, 0.0
        for frame in frames_of(capture):
            shown_at = capture.get(cv2.CAP_PROP_POS_MSEC) / 1000
            pixels = as_pixels(frame, predictor.facts.images)
            label_map = label_map_of(logits_of(batch_of_one(pixels)))
            if folder is not None:
                write_label_png(folder / f"frame_{count:06d}.png", label_map, labels)
            if "overlay" in files:
                if overlay is None:
                    size = (frame.shape[0], frame.shape[1])
                    overlay = stack.enter_context(new_video(files["overlay"], size, facts.fps))
                overlay.write(blend(frame, label_map, labels))
            count += 1
            if progress is not None:
                progress(count, max(count, facts.announced))
        if not count:
            raise InputError(f"{path} holds no frame that can be decoded; is it cut off?")
        require_all_decoded(path, facts, count, shown_at + 1 / facts.fps)


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
