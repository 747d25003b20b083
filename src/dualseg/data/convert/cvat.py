"""`--to cvat`: annotations.xml of "CVAT for images 1.1", and images/SPLIT/.

Each region is a polygon along the edges of its pixels, or a mask where it has holes. What is
ignored is labelled `__ignore__`.
"""

from collections.abc import Iterator, Sequence
from pathlib import Path, PurePosixPath
from xml.sax.saxutils import quoteattr

import numpy as np

from dualseg.core.errors import InputError
from dualseg.core.files import write_atomic
from dualseg.core.image_spec import ImageSpec
from dualseg.core.labels import LabelSpec
from dualseg.data.convert.description import write_named_classes
from dualseg.data.convert.outlines import Region, loops
from dualseg.data.convert.samples import Sample
from dualseg.data.convert.shapes import drawn_regions, has_background, shape_name
from dualseg.data.datasets.folder_drawn import IGNORED


class CvatEntry:
    """What the file says of an image, but for its id."""

    def __init__(self, sample: Sample, shapes: Sequence[str]):
        height, width = sample.size
        name = PurePosixPath(sample.image).relative_to("images")
        self.attributes = (
            f"name={_quoted(str(name))} subset={_quoted(sample.split)} "
            f'width="{width}" height="{height}"'
        )
        self.shapes = shapes
        self.has_ignored = bool(sample.ignored_pixels)


def write_cvat(_out: Path, sample: Sample) -> CvatEntry:
    """The shapes of an image; they are written at the end.

    Raises:
        InputError: XML cannot hold the name of the image.
    """
    return CvatEntry(sample, [_shape(region, sample.labels) for region in drawn_regions(sample)])


def write_cvat_end(
    out: Path, entries: Sequence[CvatEntry], labels: LabelSpec, images: ImageSpec
) -> None:
    """annotations.xml, and dataset.yaml."""
    ignored = any(entry.has_ignored for entry in entries)
    content = _lines(entries, labels, ignored)
    write_atomic(
        out / "annotations.xml", lambda file: file.writelines(line.encode() for line in content)
    )
    write_named_classes(out, labels, images)


def _lines(entries: Sequence[CvatEntry], labels: LabelSpec, ignored: bool) -> Iterator[str]:
    first = 1 if has_background(labels) else 0
    both = zip(labels.class_names[first:], labels.palette[first:], strict=True)
    named = [*both, *([(IGNORED, (0, 0, 0))] if ignored else [])]
    yield '<?xml version="1.0" encoding="utf-8"?>\n<annotations>\n  <version>1.1</version>\n'
    yield f"  <meta><task><size>{len(entries)}</size><mode>annotation</mode><labels>\n"
    for name, (red, green, blue) in named:
        color = f"#{red:02x}{green:02x}{blue:02x}"
        yield f"    <label><name>{_quoted(name)[1:-1]}</name><color>{color}</color></label>\n"
    yield "  </labels></task></meta>\n"
    for number, entry in enumerate(entries):
        yield f'  <image id="{number}" {entry.attributes}>\n'
        yield from (f"    {shape}\n" for shape in entry.shapes)
        yield "  </image>\n"
    yield "</annotations>\n"


def _shape(region: Region, labels: LabelSpec) -> str:
    start = f'label={_quoted(shape_name(region, labels))} source="manual" occluded="0"'
    outlines = loops(region.mask)
    if len(outlines) == 1:
        corners = (outlines[0] + (region.left, region.top)).tolist()
        points = ";".join(f"{x},{y}" for x, y in corners)
        return f'<polygon {start} points="{points}" z_order="0"></polygon>'
    height, width = region.mask.shape
    flat = region.mask.ravel()
    ends = np.flatnonzero(np.diff(flat, append=~flat[-1:])) + 1
    runs = np.diff(ends, prepend=0).tolist()
    rle = ", ".join(map(str, [0, *runs] if flat[0] else runs))
    box = f'left="{region.left}" top="{region.top}" width="{width}" height="{height}"'
    return f'<mask {start} rle="{rle}" {box} z_order="0"></mask>'


def _quoted(text: str) -> str:
    """As the value of an attribute.

    Raises:
        InputError: XML has no way to write it.
    """
    if not text.isprintable():  # controls, and bytes of names that are no UTF-8
        raise InputError(f"{text!r} cannot stand in XML; rename it")
    return '"' + quoteattr(text)[1:-1].replace('"', "&quot;") + '"'
