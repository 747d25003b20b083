"""Predicts image files into files: an indexed label PNG and an overlay for each."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

from dualseg.core.errors import InputError
from dualseg.core.files import DiskFullError, write_bytes
from dualseg.data.images import read_image, write_label_png
from dualseg.inference.inputs import find_images
from dualseg.inference.predictor import Predictor
from dualseg.visual.overlay import blend
from dualseg.visual.pictures import encode_png


@dataclass(frozen=True)
class PredictedFile:
    """One image and what was written for it."""

    image: Path
    labels: Path
    overlay: Path


def predict_files(
    predictor: Predictor,
    inputs: Sequence[str | Path],
    out_dir: Path,
    *,
    progress: Callable[[int, int], object] | None = None,
) -> list[PredictedFile]:
    """Writes `NAME_labels.png` (mode P: class ids and palette) and `NAME_overlay.png` for each
    `NAME.*`.

    An image that cannot be read does not stop the others.

    Args:
        predictor: Gives the label maps.
        inputs: Files, folders, patterns; see `find_images`.
        out_dir: Made if need be.
        progress: Called with (done, total) before the first image and after each.

    Raises:
        InputError: The inputs are wrong (nothing is written then), or some images could not be read
            (all others are written; the message lists every one).
        DiskFullError: No space is left; every file that stands is whole.
    """
    images = find_images(inputs)
    _make_folder(out_dir)
    done, problems = [], []
    _tell(progress, 0, len(images))
    for count, image in enumerate(images, start=1):
        try:
            done.append(_predict_file(predictor, image, out_dir))
        except DiskFullError:
            raise
        except InputError as error:
            problems.append(str(error))
        _tell(progress, count, len(images))
    if problems:
        raise InputError(
            f"{len(problems)} of {len(images)} images could not be predicted "
            f"({len(done)} are written to {out_dir}):",
            problems,
        )
    return done


def _predict_file(predictor: Predictor, path: Path, out_dir: Path) -> PredictedFile:
    image = read_image(path)
    label_map = predictor(image)
    labels = predictor.facts.labels
    result = PredictedFile(
        path, out_dir / f"{path.stem}_labels.png", out_dir / f"{path.stem}_overlay.png"
    )
    write_label_png(result.labels, label_map, labels)
    write_bytes(result.overlay, encode_png(blend(image, label_map, labels)))
    return result


def _make_folder(folder: Path) -> None:
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise InputError(f"cannot make the folder {folder}: {error.strerror}") from None


def _tell(progress: Callable[[int, int], object] | None, done: int, total: int) -> None:
    if progress is not None:
        progress(done, total)
