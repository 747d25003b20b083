"""Whether all of a video was decoded: a decoder ends without a word where a file is cut off."""

import math
import struct
import warnings
from pathlib import Path

from dualseg.core.errors import InputError
from dualseg.inference.video_files import VideoFacts

SPARE_FRAMES = 3
"""Headers may count so many too many."""
MP4_SUFFIXES = (".mp4", ".m4v", ".mov")
SLACK_SECONDS = dict.fromkeys((*MP4_SUFFIXES, ".avi"), 0.0) | {".mkv": 1.0, ".webm": 1.0}
"""The first have an index of frames. The next announce a length alone, that of the sound where it
is longer; the others not even that, and are only warned of.
"""
HEADER_BYTES = 4096
"""Of a movie's description; its own header stands first in it."""


def require_all_decoded(path: Path, facts: VideoFacts, count: int, end: float) -> None:
    """Compares what was decoded with what the header announces.

    Frames may be fewer where they come at varying times, so what counts is when the last one ends.

    Args:
        path: The video.
        facts: Of it.
        count: Frames decoded.
        end: When the last of them ends, in seconds.

    Raises:
        InputError: It ends too early.
    """
    seconds = facts.announced / facts.fps
    if path.suffix.lower() in MP4_SUFFIXES:
        seconds = min(seconds, movie_seconds(path) or seconds)
    expected = round(seconds * facts.fps)
    if expected - count <= SPARE_FRAMES:
        return
    slack = SLACK_SECONDS.get(path.suffix.lower(), math.inf) + SPARE_FRAMES / facts.fps
    if end < seconds - slack:
        raise InputError(
            f"{path}: decoded {count} of {expected} frames; is it cut off or damaged? Fetch it "
            "again, or save what can be decoded as a new video"
        )
    warnings.warn(f"{path}: decoded {count} of about {expected} frames", stacklevel=2)


def movie_seconds(path: Path) -> float | None:
    """What an MP4 shows, which may be less than is in it: an edit list leaves out the rest, as
    where a video was trimmed without encoding it anew. None where it does not say.
    """
    try:
        with open(path, "rb") as file:
            start = 0
            while True:
                file.seek(start)
                head = file.read(16)
                length, kind = struct.unpack(">I4s", head[:8])
                if kind == b"moov":
                    break
                if length == 1:
                    length = struct.unpack(">Q", head[8:])[0]
                if length < 8:
                    return None
                start += length
            content = head + file.read(HEADER_BYTES)
        at = content.index(b"mvhd") + 4
        layout = ">4xQQIQ" if content[at] == 1 else ">4xIIII"
        *_, timescale, duration = struct.unpack_from(layout, content, at)
    except (OSError, ValueError, struct.error):
        return None
    return duration / timescale if timescale else None
