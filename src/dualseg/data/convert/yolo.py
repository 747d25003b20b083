"""`--to yolo`: labels/SPLIT/NAME.txt, a class number and a polygon on each line, and data.yaml.

A region is one polygon along the edges of its pixels; to its holes leads a line there and back. The
format has no way to ignore pixels.
"""

from collections.abc import Sequence
from pathlib import Path

from dualseg.config import dump_yaml
from dualseg.core.errors import InputError
from dualseg.core.files import write_text
from dualseg.core.image_spec import ImageSpec
from dualseg.core.labels import LabelSpec
from dualseg.data.convert.description import write_named_classes
from dualseg.data.convert.samples import Sample
from dualseg.data.convert.shapes import drawn_regions, has_background

DIGITS = 9  # half a pixel is far more than what they lose


def write_yolo(out: Path, sample: Sample) -> str:
    """The label file; returns the split.

    Raises:
        InputError: Pixels are ignored.
    """
    if sample.ignored_pixels:
        raise InputError(
            f"{sample.split}/{sample.stem}: {sample.ignored_pixels} pixels are ignored, which only "
            "the other formats can say"
        )
    height, width = sample.size
    first = 1 if has_background(sample.labels) else 0
    lines = []
    for region in drawn_regions(sample):
        shares = (region.polygon() / (width, height)).ravel().tolist()
        numbers = " ".join(f"{share:.{DIGITS}g}" for share in shares)
        lines.append(f"{region.class_id - first} {numbers}\n")
    folder = out / "labels" / sample.split
    folder.mkdir(parents=True, exist_ok=True)
    write_text(folder / f"{sample.stem}.txt", "".join(lines))
    return sample.split


def write_yolo_end(out: Path, splits: Sequence[str], labels: LabelSpec, images: ImageSpec) -> None:
    """data.yaml for programs that read YOLO's folders, and dataset.yaml."""
    first = 1 if has_background(labels) else 0
    content = {
        **{split: f"images/{split}" for split in dict.fromkeys(splits)},
        "names": dict(enumerate(labels.class_names[first:])),
    }
    write_text(out / "data.yaml", dump_yaml(content))
    write_named_classes(out, labels, images)
