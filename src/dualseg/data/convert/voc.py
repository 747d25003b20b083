"""`--to voc`: PASCAL VOC's folders, palette and lists."""

from collections.abc import Sequence
from pathlib import Path

import numpy as np
from PIL import Image

from dualseg.core.files import write_atomic, write_bytes
from dualseg.core.image_spec import ImageSpec
from dualseg.core.labels import LabelSpec, voc_palette
from dualseg.data.convert.description import write_numbered_classes
from dualseg.data.convert.samples import Sample

LISTS = "ImageSets/Segmentation"


def write_voc(out: Path, sample: Sample) -> Sample:
    """SegmentationClass/NAME.png, in VOC's colours."""
    folder = out / "SegmentationClass"
    folder.mkdir(parents=True, exist_ok=True)
    picture = Image.fromarray(np.ascontiguousarray(sample.label_map))
    picture.putpalette(np.array(voc_palette(256), np.uint8).tobytes())
    path = folder / f"{sample.stem}.png"
    write_atomic(path, lambda file: picture.save(file, format="PNG"))
    return sample.without_pixels()


def write_voc_end(
    out: Path, samples: Sequence[Sample], labels: LabelSpec, images: ImageSpec
) -> None:
    """The lists of names, and dataset.yaml, since VOC's layout does not say its classes."""
    (out / LISTS).mkdir(parents=True)
    for split in dict.fromkeys(sample.split for sample in samples):
        names = "".join(f"{sample.stem}\n" for sample in samples if sample.split == split)
        # As in the names of files themselves: a byte that is no UTF-8 stays that byte.
        write_bytes(out / LISTS / f"{split}.txt", names.encode("utf-8", "surrogateescape"))
    write_numbered_classes(out, labels, images)
