"""`--to masks`: images/ and masks/ with a folder for each split; class ids as palette PNG."""

from collections.abc import Sequence
from pathlib import Path

from dualseg.core.image_spec import ImageSpec
from dualseg.core.labels import LabelSpec
from dualseg.data.convert.description import write_numbered_classes
from dualseg.data.convert.samples import Sample
from dualseg.data.pictures.images import write_label_png


def write_mask(out: Path, sample: Sample) -> None:
    """masks/SPLIT/NAME.png."""
    write_label_png(mask_path(out, sample), sample.label_map, sample.labels)


def write_masks_end(
    out: Path, _samples: Sequence[None], labels: LabelSpec, images: ImageSpec
) -> None:
    """dataset.yaml."""
    write_numbered_classes(out, labels, images)


def mask_path(out: Path, sample: Sample) -> Path:
    """Where the mask of an image in images/SPLIT/ lies; its folder is made."""
    folder = out / "masks" / sample.split
    folder.mkdir(parents=True, exist_ok=True)
    return folder / f"{sample.stem}.png"
