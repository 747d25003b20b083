"""What is allowed in a data set but worth knowing, as faults with a W code."""

from collections.abc import Mapping, Sequence
from itertools import combinations
from pathlib import Path

from dualseg.core.errors import first_few
from dualseg.core.words import counted
from dualseg.data.checking.leaks import describe_leak, equal_files, image_files, shards_of
from dualseg.data.dataset import SegmentationDataset
from dualseg.data.faults import Fault
from dualseg.data.shards.leaks import equal_images

MUCH_IGNORED = 0.5
MANY_ALL_IGNORED = 0.05
DROPPED = {"LA": "alpha", "PA": "alpha", "RGBA": "alpha", "RGBX": "the fourth band"}


def split_warnings(
    dataset: SegmentationDataset,
    *,
    pixels_per_class: Sequence[int],
    ignored_share: float,
    much_ignored: float,
    all_ignored: Sequence[str],
    turned_alone: Sequence[str],
    kinds: Mapping[str, int],
) -> tuple[Fault, ...]:
    """What a check of one split noticed.

    Args:
        dataset: The split.
        pixels_per_class: As counted.
        ignored_share: Of all pixels, 0 to 1.
        much_ignored: From this share on, it is a warning.
        all_ignored: Files without a labelled pixel.
        turned_alone: Names of images that EXIF turns, while it does not turn their labels.
        kinds: Pillow's mode of the images -> their number.
    """
    names, split = dataset.labels.class_names, dataset.split
    warnings = []
    absent = [n for n, count in zip(names, pixels_per_class, strict=True) if count == 0]
    if absent:
        found, fix = f"has no pixel of: {', '.join(absent)}", "add images that show them"
        warnings.append(Fault("W201", split, found, "", fix))
    if ignored_share > much_ignored:
        found = f"has {100 * ignored_share:.0f} % of all pixels ignored"
        fix = "see whether the ignored value means what it should"
        warnings.append(Fault("W202", split, found, f"at most {100 * much_ignored:.0f} %", fix))
    if len(all_ignored) > MANY_ALL_IGNORED * len(dataset):
        shown = ", ".join(first_few(all_ignored))
        found = f"has {counted(len(all_ignored), 'image')} without a labelled pixel: {shown}"
        warnings.append(Fault("W205", split, found, "", "leave them out; they teach nothing"))
    dropped = {DROPPED[kind] for kind in kinds if kind in DROPPED}
    if len(kinds) > 1 or dropped:
        table = ", ".join(f"{count} {kind}" for kind, count in sorted(kinds.items()))
        rest = f" ({' and '.join(sorted(dropped))} dropped)" if dropped else ""
        fix = "nothing to do where that is meant"
        warnings.append(Fault("W206", split, f"has images of these modes: {table}{rest}", "", fix))
    if turned_alone:
        shown = ", ".join(first_few(turned_alone))
        images = counted(len(turned_alone), "image")
        found = f"has {images} that EXIF turns, and not their labels: {shown}"
        fix = (
            "look at them with `dualseg data show`; where a label does not fit, it was drawn on "
            "the picture as stored: save that picture without its EXIF orientation"
        )
        warnings.append(Fault("W207", split, found, "both or none", fix))
    return tuple(warnings)


def duplicate_warnings(*splits: SegmentationDataset) -> tuple[Fault, ...]:
    """Images of equal content, across every two splits and within each; files of equal length are
    read."""
    warnings = []
    for first, second in combinations(splits, 2):
        leak = describe_leak(first, second)
        if leak:
            fix = "keep each image in one split"
            warnings.append(Fault("W203", f"{first.split} and {second.split}:", leak, "", fix))
    for dataset in splits:
        groups = duplicates_within(dataset)
        if groups:
            shown = ", ".join(first_few([" = ".join(map(str, group)) for group in groups]))
            found = f"has {counted(len(groups), 'image')} more than once: {shown}"
            warnings.append(Fault("W204", dataset.split, found, "", "keep one of each"))
    return tuple(warnings)


def duplicates_within(dataset: SegmentationDataset) -> list[list[Path]]:
    """Files of one split with the same content; see `equal_files`, and `equal_images` of shards."""
    shards = shards_of(dataset)
    if shards is not None:
        return [
            [Path(shards.image_origin(index)) for _, index in group]
            for group in equal_images([shards])
        ]
    return [[path for _, path in group] for group in equal_files(image_files(dataset))]
