"""`--to coco`: annotations/instances_SPLIT.json and images/SPLIT/.

Each region is an annotation: a polygon along the edges of its pixels, or packed runs where it has
holes, which COCO's polygons cannot hold. What is ignored is a crowd region of an image.
"""

import json
from collections.abc import Sequence
from pathlib import Path, PurePosixPath
from typing import Any

import numpy as np

from dualseg.core.files import write_atomic
from dualseg.core.geometry import Size
from dualseg.core.image_spec import ImageSpec
from dualseg.core.labels import LabelSpec
from dualseg.data.convert.description import write_named_classes
from dualseg.data.convert.outlines import Region, loops
from dualseg.data.convert.samples import Sample
from dualseg.data.convert.shapes import drawn_regions, has_background
from dualseg.data.datasets.coco_shapes import Mask, encode_runs, mask_runs


class CocoEntry:
    """What the file of a split says of an image, but for the ids.

    Args:
        sample: The image.
        annotations: As JSON, each without its opening brace.
    """

    def __init__(self, sample: Sample, annotations: Sequence[str]):
        self.split = sample.split
        self.file_name = str(PurePosixPath(sample.image).relative_to(f"images/{sample.split}"))
        self.size = sample.size
        self.annotations = annotations


def write_coco(_out: Path, sample: Sample) -> CocoEntry:
    """The annotations of an image; they are written at the end."""
    ignored = sample.labels.ignore_index
    first = 0 if has_background(sample.labels) else 1  # COCO's ids begin at 1
    found = [
        {"category_id": region.class_id + first, "iscrowd": 0, **_segmentation(region, sample)}
        for region in drawn_regions(sample)
        if region.class_id != ignored
    ]
    crowd = sample.label_map == ignored
    if crowd.any():
        found.append({"category_id": 1, "iscrowd": 1, **_crowd(crowd)})
    return CocoEntry(sample, [json.dumps(entry, separators=(",", ":"))[1:] for entry in found])


def write_coco_end(
    out: Path, entries: Sequence[CocoEntry], labels: LabelSpec, images: ImageSpec
) -> None:
    """A JSON for each split, and dataset.yaml."""
    (out / "annotations").mkdir()
    for split in dict.fromkeys(entry.split for entry in entries):
        some = [entry for entry in entries if entry.split == split]
        _write_split(out / "annotations" / f"instances_{split}.json", some, labels)
    write_named_classes(out, labels, images)


def _write_split(path: Path, entries: Sequence[CocoEntry], labels: LabelSpec) -> None:
    start = 1 if has_background(labels) else 0
    categories = [
        {"id": number, "name": name, "supercategory": "none"}
        for number, name in enumerate(labels.class_names[start:], start=1)
    ]
    listed = [
        {"id": number, "file_name": entry.file_name, "height": height, "width": width}
        for number, entry in enumerate(entries, start=1)
        for height, width in [entry.size]
    ]
    annotations = [
        f'"image_id":{image},{text}'
        for image, entry in enumerate(entries, start=1)
        for text in entry.annotations
    ]

    def write(file: Any) -> None:
        head = {"info": {"description": "written by dualseg"}, "licenses": []}
        file.write(json.dumps(head).encode()[:-1])
        file.write(b',\n"categories":' + json.dumps(categories).encode())
        file.write(b',\n"images":' + json.dumps(listed).encode() + b',\n"annotations":[')
        for number, text in enumerate(annotations, start=1):
            file.write(f'{"," if number > 1 else ""}\n{{"id":{number},{text}'.encode())
        file.write(b"\n]}\n")

    write_atomic(path, write)


def _segmentation(region: Region, sample: Sample) -> dict[str, Any]:
    outlines = loops(region.mask)
    height, width = region.mask.shape
    if len(outlines) > 1:
        packed = encode_runs(box_runs(region, sample.size))
        segmentation: Any = {"size": list(sample.size), "counts": packed}
    else:
        segmentation = [(outlines[0] + (region.left, region.top)).ravel().tolist()]
    return {
        "segmentation": segmentation,
        "area": int(region.mask.sum()),
        "bbox": [region.left, region.top, width, height],
    }


def box_runs(region: Region, size: Size) -> list[int]:
    """`mask_runs` of an image of (height, width) in which the region alone is on."""
    height, width = size
    # Below a lower box lies one more row, so that no run goes on into the next column.
    padded = np.pad(region.mask, ((0, int(region.mask.shape[0] < height)), (0, 0)))
    ends = np.cumsum(mask_runs(padded))
    columns, rows = divmod(ends[: len(ends) // 2 * 2], padded.shape[0])
    bounds = (columns + region.left) * height + rows + region.top
    runs = np.diff(bounds, prepend=0, append=height * width).tolist()
    return runs if runs[-1] else runs[:-1]


def _crowd(mask: Mask) -> dict[str, Any]:
    rows, columns = np.flatnonzero(mask.any(axis=1)), np.flatnonzero(mask.any(axis=0))
    top, left = int(rows[0]), int(columns[0])
    return {
        "segmentation": {"size": list(mask.shape), "counts": encode_runs(mask_runs(mask))},
        "area": int(mask.sum()),
        "bbox": [left, top, int(columns[-1]) + 1 - left, int(rows[-1]) + 1 - top],
    }
