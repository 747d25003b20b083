"""One input file becomes its output files: whole, in tiles, by windows, or frame by frame."""

import os
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TypeAlias

from dualseg.core.errors import InputError
from dualseg.core.geometry import Size
from dualseg.core.image_spec import Pixels, to_rgb
from dualseg.data.pictures.bands import read_pixels
from dualseg.data.pictures.tiff import is_tiff
from dualseg.inference.array_source import tiled_label_map
from dualseg.inference.crf.settings import CrfSettings
from dualseg.inference.crf_step import refined
from dualseg.inference.giant import predict_by_windows, stored_size
from dualseg.inference.inputs import is_video
from dualseg.inference.label_maps import label_map_of
from dualseg.inference.predictor import Predictor, batch_of_one
from dualseg.inference.strategies import PreparesImages, unresized
from dualseg.inference.tiles import Tiling, choose_tiling
from dualseg.inference.video import predict_video
from dualseg.inference.written import DEFAULT_KINDS, KINDS, Prediction, file_of

Outputs: TypeAlias = dict[str, Path]
Progress: TypeAlias = Callable[[int, int], object]

TILED_ABOVE = 1 << 24
"""Pixels; larger images are predicted in tiles, since their logits are gigabytes."""
BY_WINDOWS_ABOVE = 1 << 26
"""Pixels; larger TIFFs are never read whole, and their labels become a GeoTIFF."""


@dataclass(frozen=True)
class FilePlan:
    """What is to be written, and how large images are cut.

    Args:
        write: Names of `KINDS`.
        crf: For images predicted whole.
        tile: For every image; None: only for large ones, by `choose_tiling`.
        overlap: Of tiles.
    """

    write: Sequence[str] = DEFAULT_KINDS
    crf: CrfSettings | None = None
    tile: Size | None = None
    overlap: int | None = None

    def files(self, path: Path, out_dir: Path) -> Outputs:
        """Kind -> where it will stand."""
        by_windows = not is_video(path) and _goes_by_windows(path)
        return output_files(path, out_dir, self.write, by_windows=by_windows)

    def standing_files(self, path: Path, out_dir: Path) -> Outputs | None:
        """The files of an image, where every one of them stands already.

        Raises:
            InputError: It is a video, of which not all is made that is to be written.
        """
        if is_video(path):
            _require_possible_for_video(self, path)
        files = self.files(path, out_dir)
        return files if all(os.path.exists(file) for file in files.values()) else None


def output_files(
    path: Path, out_dir: Path, kinds: Sequence[str], *, by_windows: bool = False
) -> Outputs:
    """Kind -> where it will stand."""
    if is_video(path):
        names = {"labels": f"{path.stem}_labels", "overlay": f"{path.stem}_overlay.mp4"}
        return {kind: out_dir / names[kind] for kind in kinds if kind in names}
    files = {kind: file_of(kind, path, out_dir) for kind in kinds}
    if by_windows and "labels" in files:
        files["labels"] = files["labels"].with_suffix(".tif")
    return files


def predict_one(
    predictor: Predictor, path: Path, out_dir: Path, plan: FilePlan, progress: Progress | None
) -> Outputs:
    """Predicts one file and writes what the plan says.

    Raises:
        InputError: It cannot be read, or not be predicted so.
        DiskFullError: No space is left.
    """
    if is_video(path):
        _require_possible_for_video(plan, path)
        files = plan.files(path, out_dir)
        predict_video(predictor, path, files, crf=plan.crf, progress=progress)
        return files
    if _goes_by_windows(path):
        return _by_windows(predictor, path, out_dir, plan, progress)
    pixels = read_pixels(path, predictor.facts.images)
    if plan.tile is not None or pixels.shape[0] * pixels.shape[1] > TILED_ABOVE:
        return _tiled(predictor, path, pixels, out_dir, plan)
    return _whole(predictor, path, pixels, out_dir, plan)


def single_thing(paths: Sequence[Path]) -> bool:
    """Whether there is one file, whose tiles or frames are worth counting."""
    return len(paths) == 1 and (is_video(paths[0]) or _goes_by_windows(paths[0]))


def _whole(
    predictor: Predictor, path: Path, pixels: Pixels, out_dir: Path, plan: FilePlan
) -> Outputs:
    logits_of = predictor.logits if plan.crf is None else refined(predictor.logits, plan.crf)
    images, confidence = batch_of_one(pixels), None
    if "confidence" in plan.write:
        logits = logits_of(images)
        confidence = logits[0].softmax(dim=0).amax(dim=0).cpu().numpy()
    else:
        logits = unresized(logits_of, images)
    label_map = label_map_of(logits, pixels.shape[:2])
    prediction = Prediction(path, to_rgb(pixels), label_map, confidence, predictor.facts.labels)
    return _written(prediction, output_files(path, out_dir, plan.write))


def _tiled(
    predictor: Predictor, path: Path, pixels: Pixels, out_dir: Path, plan: FilePlan
) -> Outputs:
    size = f"an image of {pixels.shape[0]}x{pixels.shape[1]} in tiles"
    _require_no_crf(plan, path, size)
    kinds = _without_confidence(plan.write, path, size)
    facts = predictor.facts
    tiling = tiling_for(predictor, plan)
    label_map = tiled_label_map(predictor.logits, facts, pixels, tiling)
    prediction = Prediction(path, to_rgb(pixels), label_map, None, facts.labels)
    return _written(prediction, output_files(path, out_dir, kinds))


def _written(prediction: Prediction, files: Outputs) -> Outputs:
    """Labels last: after a kill, those without an overlay beside them would count as a mask."""
    for kind in sorted(files, key=lambda kind: kind == "labels"):
        KINDS[kind].write(files[kind], prediction)
    return files


def _by_windows(
    predictor: Predictor, path: Path, out_dir: Path, plan: FilePlan, progress: Progress | None
) -> Outputs:
    what = "an image by windows"
    _require_no_crf(plan, path, what)
    kinds = _only_default(plan.write, path, what)
    if "labels" not in kinds:
        raise InputError(f"{path}: of {what}, labels are always written; add them to --write")
    files = output_files(path, out_dir, kinds, by_windows=True)
    tiling = tiling_for(predictor, plan)
    predict_by_windows(
        predictor, path, files["labels"], files.get("overlay"), tiling, progress=progress
    )
    return files


def tiling_for(predictor: Predictor, plan: FilePlan) -> Tiling:
    """How large images are cut.

    Raises:
        InputError: Tile and overlap do not suit the network or each other.
    """
    model = predictor.model
    fixed = model.fixed_size if isinstance(model, PreparesImages) else None
    return choose_tiling(predictor.facts, tile=plan.tile, overlap=plan.overlap, fixed=fixed)


def _goes_by_windows(path: Path) -> bool:
    try:
        if not is_tiff(path):
            return False
        (height, width), _ = stored_size(path)
    except (InputError, OSError):  # the reader that comes next says what is wrong
        return False
    return height * width > BY_WINDOWS_ABOVE


def _require_possible_for_video(plan: FilePlan, path: Path) -> None:
    if plan.tile is not None:
        raise InputError(f"{path}: the frames of a video are predicted whole; leave out --tile")
    _only_default(plan.write, path, "a video")


def _only_default(kinds: Sequence[str], path: Path, what: str) -> tuple[str, ...]:
    """Labels and overlay; what is not made is refused."""
    others = [kind for kind in kinds if kind not in DEFAULT_KINDS]
    if others:
        raise InputError(
            f"{path}: of {what}, labels and overlay are written, not {', '.join(others)}; give it "
            "--write labels,overlay"
        )
    return tuple(kinds)


def _without_confidence(kinds: Sequence[str], path: Path, what: str) -> tuple[str, ...]:
    if "confidence" in kinds:
        raise InputError(f"{path}: of {what}, no confidence is kept; leave it out of --write")
    return tuple(kinds)


def _require_no_crf(plan: FilePlan, path: Path, what: str) -> None:
    if plan.crf is not None:
        raise InputError(
            f"{path}: the CRF connects all pixels of an image and cannot see {what}; leave out "
            "--crf, or cut the image up"
        )
