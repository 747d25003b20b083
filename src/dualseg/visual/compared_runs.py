"""Run folders opened side by side, after a check that they can be compared."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

from dualseg.core.errors import InputError, first_few
from dualseg.core.geometry import Size
from dualseg.visual.gain_gallery import ImagePair
from dualseg.visual.paired import are_same_images, image_gains
from dualseg.visual.plots import row_color
from dualseg.visual.run_files import GalleryImage, StoredEvaluation, read_evaluation


@dataclass(frozen=True)
class ComparedRun:
    """One run of a comparison.

    Args:
        name: The end of its path by which it differs from the others.
        folder: Of the run.
        color: A CSS colour.
        evaluation: What it keeps.
        latency_ms: Of one image, where it was measured.
        latency_size: (height, width) of that image.
        drawn: Pictures made for this comparison, beyond those the run keeps.
    """

    name: str
    folder: Path
    color: str
    evaluation: StoredEvaluation
    latency_ms: float | None = None
    latency_size: Size | None = None
    drawn: tuple[GalleryImage, ...] = field(default=())

    @property
    def pictures(self) -> dict[str, GalleryImage]:
        """By image name; those drawn anew before those kept."""
        return {image.name: image for image in (*self.evaluation.gallery, *self.drawn)}


def open_runs(folders: Sequence[Path]) -> list[ComparedRun]:
    """The runs in the order given; the first is what the others are compared with.

    Raises:
        InputError: Fewer than two, one of them twice, one without an evaluation, or runs on other
            classes or another split.
    """
    places = [folder.resolve() for folder in folders]
    twice = [
        folder for folder, place in zip(folders, places, strict=True) if places.count(place) > 1
    ]
    if len(folders) < 2 or twice:
        fault = f"{twice[0]} is given twice" if twice else f"{len(folders)} run is given"
        raise InputError(f"{fault}; a comparison needs two or more different runs")
    runs = [
        ComparedRun(name, folder, row_color(number, 1), _evaluation(folder))
        for number, (name, folder) in enumerate(zip(short_names(places), folders, strict=True))
    ]
    first = runs[0]
    for run in runs[1:]:
        _require_same_classes(run, first)
        if run.evaluation.split != first.evaluation.split:
            raise InputError(
                f"{run.folder} was scored on the split {run.evaluation.split}, {first.folder} on "
                f"{first.evaluation.split}; compare runs on the same split"
            )
    return runs


def _require_same_classes(run: ComparedRun, first: ComparedRun) -> None:
    mine, other = run.evaluation.labels.class_names, first.evaluation.labels.class_names
    if mine == other:
        return
    alone = [name for name in mine if name not in other]
    missing = [name for name in other if name not in mine]
    faults = [f"it alone has {', '.join(first_few(alone))}"] if alone else []
    faults += [f"it lacks {', '.join(first_few(missing))}"] if missing else []
    raise InputError(
        f"{run.folder} was scored on {len(mine)} classes, {first.folder} on {len(other)}: "
        f"{', '.join(faults) or 'they stand in another order'}; compare runs on the same classes"
    )


def short_names(paths: Sequence[Path]) -> list[str]:
    """The shortest ends of the paths that tell them apart: runs/a/seed_0 -> a/seed_0."""
    length = 1
    longest = max(len(path.parts) for path in paths)
    while length < longest and len({path.parts[-length:] for path in paths}) < len(paths):
        length += 1
    return ["/".join(path.parts[-length:]) for path in paths]


def gains_of(before: ComparedRun, after: ComparedRun) -> dict[str, float]:
    """Image name -> gain in mIoU; none where one name may stand for two pictures, since the runs
    were not scored on the same images with the same truth."""
    if not are_same_images(after.evaluation, before.evaluation):
        return {}
    return image_gains(after.evaluation, before.evaluation)


def image_pairs(before: ComparedRun, after: ComparedRun) -> dict[str, ImagePair]:
    """The images that have a gain and that there are pictures of in both runs, by name."""
    gains = gains_of(before, after)
    mine, other = after.pictures, before.pictures
    return {
        name: ImagePair(other[name], mine[name], gains[name])
        for name in mine
        if name in other and name in gains
    }


def _evaluation(folder: Path) -> StoredEvaluation:
    evaluation = read_evaluation(folder)
    if evaluation is None:
        raise InputError(
            f"{folder} has no evaluation yet, so there is nothing to compare; dualseg resume "
            f"{folder} trains it to its end and scores it"
        )
    return evaluation
