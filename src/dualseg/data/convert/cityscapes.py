"""`--to cityscapes`: leftImg8bit/ and gtFine/ with the label ids of the release."""

from collections.abc import Sequence
from pathlib import Path, PurePosixPath

import numpy as np

from dualseg.core.errors import InputError
from dualseg.core.files import write_atomic
from dualseg.core.image_spec import ImageSpec
from dualseg.core.labels import LabelSpec
from dualseg.data.convert.samples import Sample
from dualseg.data.datasets.cityscapes import CLASSES, IMAGE_ENDING, NAMES

UNLABELED = 0


def require_cityscapes(labels: LabelSpec) -> None:
    """Refuses other classes: the ids mean what they mean.

    Raises:
        InputError: They are not Cityscapes' 19.
    """
    if labels.class_names != NAMES:
        raise InputError(
            f"label ids are those of Cityscapes' 19 classes ({', '.join(NAMES)}), in this order; "
            f"this data set has {labels.num_classes} ({', '.join(labels.class_names[:5])} ...). "
            "Convert it to masks"
        )


def write_cityscapes(out: Path, sample: Sample) -> None:
    """gtFine/SPLIT/CITY/NAME_gtFine_labelIds.png.

    Raises:
        InputError: The image is no PNG.
    """
    from PIL import Image

    image = PurePosixPath(sample.image)
    if not image.name.endswith(IMAGE_ENDING):
        raise InputError(f"{image.name}: images are PNG in this layout, and are not re-encoded")
    table = np.full(256, UNLABELED, np.uint8)
    table[: len(CLASSES)] = [raw for _, _, raw in CLASSES]
    folder = out / "gtFine" / sample.split / image.parent.name
    folder.mkdir(parents=True, exist_ok=True)
    picture = Image.fromarray(table[sample.label_map])
    path = folder / f"{sample.stem}_gtFine_labelIds.png"
    write_atomic(path, lambda file: picture.save(file, format="PNG"))


def city_folder(split: str, stem: str) -> str:
    """Of an image: the city is what stands before the first `_` of its name."""
    return f"leftImg8bit/{split}/{stem.partition('_')[0]}"


def write_cityscapes_end(
    _out: Path, _samples: Sequence[None], _labels: LabelSpec, _images: ImageSpec
) -> None:
    """Nothing: the layout says everything."""
