"""`--to labelme`: SPLIT/NAME.json beside each image.

A region is one polygon along the edges of its pixels; to its holes leads a line there and back.
What is ignored is called `__ignore__`.
"""

import json
from collections.abc import Sequence
from pathlib import Path

from dualseg.core.files import write_text
from dualseg.core.image_spec import ImageSpec
from dualseg.core.labels import LabelSpec
from dualseg.data.convert.description import write_named_classes
from dualseg.data.convert.samples import Sample
from dualseg.data.convert.shapes import drawn_regions, shape_name

VERSION = "5.0.0"  # the first in which every key is as here


def write_labelme(out: Path, sample: Sample) -> None:
    """The JSON beside the image."""
    height, width = sample.size
    shapes = [
        {
            "label": shape_name(region, sample.labels),
            "points": region.polygon().tolist(),
            "group_id": None,
            "shape_type": "polygon",
            "flags": {},
        }
        for region in drawn_regions(sample)
    ]
    content = {
        "version": VERSION,
        "flags": {},
        "shapes": shapes,
        "imagePath": Path(sample.image).name,
        "imageData": None,
        "imageHeight": height,
        "imageWidth": width,
    }
    path = (out / sample.image).with_name(f"{sample.stem}.json")
    write_text(path, json.dumps(content, ensure_ascii=False))  # indented it is five times as large


def write_labelme_end(
    out: Path, _samples: Sequence[None], labels: LabelSpec, images: ImageSpec
) -> None:
    """dataset.yaml: files of shapes name only the classes that occur."""
    write_named_classes(out, labels, images)
