"""Predicts image files into files: an indexed label PNG and an overlay for each, and more."""

import os
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path

from dualseg.core.errors import InputError, first_few
from dualseg.core.files import DiskFullError, make_folder, remove_stale
from dualseg.core.geometry import Size
from dualseg.inference.crf.settings import CrfSettings
from dualseg.inference.inputs import find_inputs
from dualseg.inference.one_file import (
    FilePlan,
    Outputs,
    output_files,
    predict_one,
    single_thing,
    tiling_for,
)
from dualseg.inference.overlapped import one_at_a_time, overlapped
from dualseg.inference.predictor import Predictor
from dualseg.inference.shares import ALL, Share
from dualseg.inference.written import DEFAULT_KINDS, read_kinds

Progress = Callable[[int, int], object]


@dataclass(frozen=True)
class PredictOptions:
    """What `predict_files` does beside predicting.

    Args:
        write: Names of `KINDS`.
        crf: Refines the probabilities of images that are predicted whole; None: no CRF.
        tile: (height, width) of tiles; images above `TILED_ABOVE` pixels are tiled without it too.
        overlap: Of tiles.
        resume: Images of which every file stands already are passed over.
        share: Which of the images are this process's.

    Raises:
        InputError: A kind is unknown.
    """

    write: Sequence[str] = DEFAULT_KINDS
    crf: CrfSettings | None = None
    tile: Size | None = None
    overlap: int | None = None
    resume: bool = False
    share: Share = field(default=ALL)

    def __post_init__(self) -> None:
        object.__setattr__(self, "write", read_kinds(self.write))


@dataclass(frozen=True)
class PredictedFile:
    """One image and what was written for it.

    Args:
        image: Its path.
        files: Kind -> file.
        was_there: The files stood before, and were left alone.
        problem: Why there are no files; empty where there are.
    """

    image: Path
    files: Outputs
    was_there: bool = False
    problem: str = ""

    @property
    def labels(self) -> Path:
        return self.files["labels"]

    @property
    def overlay(self) -> Path:
        return self.files["overlay"]


def predict_files(
    predictor: Predictor,
    inputs: Sequence[str | Path],
    out_dir: Path,
    *,
    options: PredictOptions | None = None,
    progress: Progress | None = None,
) -> list[PredictedFile]:
    """Writes `NAME_labels.png` (mode P: class ids and palette) and `NAME_overlay.png` for each
    `NAME.*`, or what the options say.

    An image that cannot be read does not stop the others. Large images go in tiles; very large
    TIFFs by windows, into `NAME_labels.tif`. A video becomes a folder of label PNGs and an
    overlay video.

    Args:
        predictor: Gives the logits.
        inputs: Files, folders, patterns; see `find_inputs`.
        out_dir: Made if need be.
        options: The defaults where not given.
        progress: Called with (done, total) before the first image and after each; while there is
            but one large image or video, its tiles or frames are counted.

    Raises:
        InputError: The inputs are wrong, or results would replace some of them (nothing is written
            then), or some images could not be read (all others are written; the message lists
            every one).
        DiskFullError: No space is left; every file that stands is whole.
    """
    done = predict_share(
        predictor, inputs, out_dir, options=options or PredictOptions(), progress=progress
    )
    problems = [item.problem for item in done if item.problem]
    if problems:
        raise InputError(failure_line(done, out_dir), problems)
    return done


def predict_share(
    predictor: Predictor,
    inputs: Sequence[str | Path],
    out_dir: Path,
    *,
    options: PredictOptions,
    progress: Progress | None = None,
) -> list[PredictedFile]:
    """As `predict_files`, but images that could not be read are in the list, with the reason."""
    everything = find_inputs(inputs)
    plan = FilePlan(options.write, options.crf, options.tile, options.overlap)
    if options.overlap is not None:
        tiling_for(predictor, plan)  # a wrong one is told also where no image is large
    _require_inputs_kept(everything, out_dir, plan)
    paths = options.share.of(everything)
    _require_masks_kept(paths, out_dir, plan, options.resume)
    make_folder(out_dir)
    if options.resume and options.share == ALL:
        remove_stale(out_dir, keep_living=True)
    tell = progress or _say_nothing
    inner = tell if single_thing(paths) else None
    if inner is not None:
        return [_predict(predictor, paths[0], out_dir, plan, options.resume, inner)]
    predictor_in_turn = one_at_a_time(predictor)
    done = []
    tell(0, len(paths))
    for item in overlapped(
        lambda path: _predict(predictor_in_turn, path, out_dir, plan, options.resume, None), paths
    ):
        done.append(item)
        tell(len(done), len(paths))
    return done


def failure_line(done: Sequence[PredictedFile], out_dir: Path) -> str:
    """How many failed, for the head of the list of them."""
    failed = sum(1 for item in done if item.problem)
    return (
        f"{failed} of {len(done)} images could not be predicted "
        f"({len(done) - failed} are written to {out_dir}):"
    )


def _require_inputs_kept(paths: Sequence[Path], out_dir: Path, plan: FilePlan) -> None:
    """Raises InputError where a result would take the place of an input, or of its folder."""
    folder = Path(os.path.realpath(out_dir))
    places = {
        place
        for path in paths
        for place in (path.resolve(), path.parent.resolve() / path.name)  # a link is kept too
        if folder in place.parents
    }
    if not places:
        return
    places |= {place.parent for place in places}  # frames in a folder of labels
    problems = [
        f"{file} is an input, or holds one, and would be replaced by the {kind} of {path}"
        for path in paths
        for kind, file in plan.files(path, out_dir).items()
        if folder / file.name in places
    ]
    if problems:
        headline = f"results would replace inputs in {out_dir}; choose another folder (--out):"
        raise InputError(headline, first_few(problems))


def _require_masks_kept(paths: Sequence[Path], out_dir: Path, plan: FilePlan, resume: bool) -> None:
    """Raises InputError where a file beside its image would be replaced that may be the user's:

    labels by hand have the names of results, too. An overlay says that all were predicted; so none
    is written beside such labels either, or the next run would take them for its own.
    """
    folder = Path(os.path.realpath(out_dir))
    with_labels = plan
    if "overlay" in plan.write and "labels" not in plan.write:
        with_labels = replace(plan, write=(*plan.write, "labels"))
    problems = []
    for path in paths:
        if path.parent.resolve() != folder:
            continue
        files = plan.files(path, out_dir)
        passed_over = resume and all(map(os.path.lexists, files.values()))
        named = with_labels.files(path, out_dir).values()
        standing = [file for file in named if os.path.lexists(file)]
        overlay = output_files(path, out_dir, ("overlay",))["overlay"]
        if standing and not passed_over and not os.path.lexists(overlay):
            problems.append(f"{standing[0]} stands there without {overlay.name}")
    if problems:
        headline = (
            "files beside their images have the names of results and may be masks of yours; choose "
            "another folder (--out), or remove them:"
        )
        raise InputError(headline, first_few(problems))


def _predict(
    predictor: Predictor,
    path: Path,
    out_dir: Path,
    plan: FilePlan,
    resume: bool,
    progress: Progress | None,
) -> PredictedFile:
    try:
        there = plan.standing_files(path, out_dir) if resume else None
        if there is not None:
            return PredictedFile(path, there, was_there=True)
        return PredictedFile(path, predict_one(predictor, path, out_dir, plan, progress))
    except DiskFullError:
        raise
    except InputError as error:
        return PredictedFile(path, {}, problem=_of_image(path, str(error)))
    except (MemoryError, RuntimeError) as error:
        if not (isinstance(error, MemoryError) or "memory" in str(error).lower()):
            raise
        return PredictedFile(path, {}, problem=_no_memory(path, error))


def _of_image(path: Path, problem: str) -> str:
    """What a network says of an image does not name the file; what reading it says does."""
    return problem if str(path) in problem else f"{path}: {problem}"


def _no_memory(path: Path, error: BaseException) -> str:
    first_line = (str(error).strip().splitlines() or [type(error).__name__])[0]
    return f"{path} needs more memory than there is ({first_line}); predict it with --tile 512x512"


def _say_nothing(done: int, total: int) -> None:
    pass
