"""`--to colors`: as masks, but each pixel has its class's colour, in RGB PNG."""

from collections.abc import Sequence
from itertools import product
from pathlib import Path

import numpy as np
from PIL import Image

from dualseg.core.errors import InputError
from dualseg.core.files import write_atomic
from dualseg.core.image_spec import ImageSpec
from dualseg.core.labels import Color, LabelSpec
from dualseg.data.convert.description import write_colored_classes
from dualseg.data.convert.masks import mask_path
from dualseg.data.convert.samples import Sample

IGNORED_COLORS: tuple[Color, ...] = ((0, 0, 0), (224, 224, 192), (255, 255, 255))


def require_own_colors(labels: LabelSpec) -> None:
    """Refuses a palette that does not tell the classes apart.

    Raises:
        InputError: Two classes have the same colour.
    """
    doubled = sorted({c for c in labels.palette if labels.palette.count(c) > 1})
    if doubled:
        names = [
            n for n, c in zip(labels.class_names, labels.palette, strict=True) if c == doubled[0]
        ]
        raise InputError(
            f"{', '.join(names)} have the same colour {list(doubled[0])}; give each class its own "
            "in palette of dataset.yaml, or convert to masks"
        )


def write_colors(out: Path, sample: Sample) -> None:
    """masks/SPLIT/NAME.png."""
    table = np.zeros((256, 3), np.uint8)
    table[: sample.labels.num_classes] = sample.labels.palette
    table[sample.labels.ignore_index] = _ignored_color(sample.labels)
    picture = Image.fromarray(table[sample.label_map])
    write_atomic(mask_path(out, sample), lambda file: picture.save(file, format="PNG"))


def write_colors_end(
    out: Path, _samples: Sequence[None], labels: LabelSpec, images: ImageSpec
) -> None:
    """dataset.yaml."""
    write_colored_classes(out, labels, images, _ignored_color(labels))


def _ignored_color(labels: LabelSpec) -> Color:
    """Black, unless that is a class's colour."""
    others = ((red, green, blue) for red, green, blue in product(range(256), repeat=3))
    known = set(labels.palette)
    return next(c for colors in (IGNORED_COLORS, others) for c in colors if c not in known)
