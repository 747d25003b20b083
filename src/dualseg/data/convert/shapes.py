"""What formats of shapes share: which regions are drawn, and how the ignored ones are named."""

from collections.abc import Iterator

from dualseg.core.errors import InputError
from dualseg.core.labels import LabelSpec
from dualseg.data.convert.outlines import Region, regions
from dualseg.data.convert.samples import Sample
from dualseg.data.datasets.folder_drawn import BACKGROUNDS, IGNORED


def has_background(labels: LabelSpec) -> bool:
    """Whether the first class is what lies outside of all shapes, and needs none itself."""
    return labels.class_names[0] in BACKGROUNDS


def drawn_regions(sample: Sample) -> Iterator[Region]:
    """Regions of all classes but the background."""
    return regions(sample.label_map, skip=0 if has_background(sample.labels) else None)


def shape_name(region: Region, labels: LabelSpec) -> str:
    """The class's name, or that of ignored regions."""
    if region.class_id == labels.ignore_index:
        return IGNORED
    return labels.class_names[region.class_id]


def require_no_ignored_class(labels: LabelSpec) -> None:
    """Refuses a class that has the name of ignored regions.

    Raises:
        InputError: There is one.
    """
    if IGNORED in labels.class_names:
        raise InputError(
            f"a class is called {IGNORED}, which means ignored in this format; rename it in "
            "class_names of dataset.yaml"
        )
