"""A data set written in another label format, whole or not at all."""

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, NamedTuple

from dualseg.core.errors import InputError, first_few, nearest
from dualseg.core.files import DiskFullError, new_folder
from dualseg.core.image_spec import ImageSpec
from dualseg.core.labels import LabelSpec
from dualseg.data.convert import (
    cityscapes,
    coco,
    colors,
    cvat,
    labelme,
    masks,
    shapes,
    voc,
    yolo,
)
from dualseg.data.convert.samples import (
    Planned,
    Sample,
    image_suffix,
    load_sample,
    place_image,
    plan_samples,
)
from dualseg.data.dataset import SegmentationDataset, images_of
from dualseg.data.datasets.cityscapes import IMAGE_ENDING
from dualseg.data.scanning import in_order


class Format(NamedTuple):
    """How a label format is written.

    Attributes:
        write: Writes the label of a sample below a folder; what it returns goes to `finish`.
        finish: Writes what concerns all samples, given what `write` returned for each, in order.
        image_folder: (split, stem) -> folder of an image.
        require: Refuses classes that the format cannot hold.
        one_folder: Whether all splits share their folders.
        no_blanks: Whether names must be without blanks.
        image_ending: Of image files behind the stem, where it is fixed; else their suffix.
    """

    write: Callable[[Path, Sample], Any]
    finish: Callable[[Path, Sequence[Any], LabelSpec, ImageSpec], None]
    image_folder: Callable[[str, str], str] = lambda split, _stem: f"images/{split}"
    require: Callable[[LabelSpec], None] = lambda _labels: None
    one_folder: bool = False
    no_blanks: bool = False
    image_ending: str | None = None


FORMATS = {
    "masks": Format(masks.write_mask, masks.write_masks_end),
    "colors": Format(
        colors.write_colors, colors.write_colors_end, require=colors.require_own_colors
    ),
    "voc": Format(
        voc.write_voc,
        voc.write_voc_end,
        image_folder=lambda _split, _stem: "JPEGImages",
        one_folder=True,
        no_blanks=True,
    ),
    "coco": Format(coco.write_coco, coco.write_coco_end),
    "labelme": Format(
        labelme.write_labelme,
        labelme.write_labelme_end,
        image_folder=lambda split, _stem: split,
        require=shapes.require_no_ignored_class,
    ),
    "cvat": Format(cvat.write_cvat, cvat.write_cvat_end, require=shapes.require_no_ignored_class),
    "yolo": Format(yolo.write_yolo, yolo.write_yolo_end),
    "cityscapes": Format(
        cityscapes.write_cityscapes,
        cityscapes.write_cityscapes_end,
        image_folder=cityscapes.city_folder,
        require=cityscapes.require_cityscapes,
        image_ending=IMAGE_ENDING,
    ),
}


def convert_dataset(
    datasets: Sequence[SegmentationDataset],
    format_name: str,
    out: Path,
    *,
    copy: bool = False,
    progress: Callable[[int, int], object] | None = None,
) -> None:
    """Writes splits in a label format that reads back as the same label maps.

    Image files are hard-linked where they can be and copied byte by byte elsewhere, never
    re-encoded; drawn images become PNG.

    Args:
        datasets: One for each split, of the same classes.
        format_name: One of `FORMATS`.
        out: A new or empty folder; it appears whole.
        copy: Copy images also where a link would do.
        progress: Called with (done, total) before the first image and after each.

    Raises:
        InputError: The format cannot hold the classes or some of the label maps, which are counted
            and named; labels have faults; or `out` holds something.
    """
    if format_name not in FORMATS:
        raise InputError(f"there is no format {format_name!r}; {nearest(format_name, FORMATS)}")
    form = FORMATS[format_name]
    require_new(out)
    labels, images = _common(datasets)
    form.require(labels)
    plans = plan_samples(datasets, one_folder=form.one_folder, no_blanks=form.no_blanks)
    entries: list[Any] = []
    faults: list[str] = []
    with new_folder(out) as temporary:
        if progress is not None:
            progress(0, len(plans))

        def write(number: int) -> Any:
            try:
                return _write_one(form, plans[number], temporary, copy=copy)
            except DiskFullError:
                raise
            except InputError as error:
                return error

        for done, entry in enumerate(in_order(write, len(plans)), start=1):
            if isinstance(entry, InputError):
                faults.append(str(entry))
            else:
                entries.append(entry)
            if progress is not None:
                progress(done, len(plans))
        if faults:
            raise InputError(
                f"{len(faults)} of {len(plans)} images cannot be written as {format_name}:",
                first_few(faults),
            )
        form.finish(temporary, entries, labels, images)


def require_new(out: Path) -> None:
    """Refuses a place where something is.

    Raises:
        InputError: It is a file, a folder that is not empty, or the current folder: a whole one
            would take its place, and who stands in it would be left in a folder that is gone.
    """
    if out.is_symlink() or (out.exists() and (not out.is_dir() or any(out.iterdir()))):
        raise InputError(f"--out {out} exists and is not an empty folder; choose a new one")
    if out.resolve() == Path.cwd():
        raise InputError(f"--out {out} is the current folder; name a new one in it")


def _write_one(form: Format, plan: Planned, out: Path, *, copy: bool) -> Any:
    split = plan.dataset.split
    folder = form.image_folder(split, plan.stem)
    suffix = image_suffix(plan)
    ending = suffix
    if form.image_ending is not None and suffix.lower() == Path(form.image_ending).suffix:
        ending = form.image_ending
    image = f"{folder}/{plan.stem}{ending}"
    sample = load_sample(plan, image)
    (out / folder).mkdir(parents=True, exist_ok=True)
    entry = form.write(out, sample)
    place_image(plan, out / image, copy=copy)
    return entry


def _common(datasets: Sequence[SegmentationDataset]) -> tuple[LabelSpec, ImageSpec]:
    """Classes and image values, which all splits must share."""
    first = datasets[0]
    for other in datasets:
        if len(other) == 0:
            raise InputError(f"the split {other.split!r} holds no image; leave it out")
        if (other.labels.class_names, images_of(other)) != (
            first.labels.class_names,
            images_of(first),
        ):
            raise InputError(
                f"the splits {first.split} and {other.split} differ in classes or image values; "
                "convert them one by one"
            )
    return first.labels, images_of(first)
