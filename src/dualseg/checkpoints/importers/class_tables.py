"""Classes of the data sets that published weights were trained on, for files that do not say."""

from collections.abc import Sequence

from dualseg.core.errors import InputError
from dualseg.core.labels import LabelSpec, voc_palette
from dualseg.data.datasets.cityscapes import NAMES, PALETTE
from dualseg.data.datasets.voc import VOC_LABELS


def voc_labels() -> LabelSpec:
    """PASCAL VOC 2012: 21 classes, the background among them."""
    return named_labels(VOC_LABELS.class_names)


def cityscapes_labels() -> LabelSpec:
    """Cityscapes: the 19 classes that are scored."""
    return named_labels(NAMES, PALETTE)


def named_labels(
    class_names: Sequence[str], palette: Sequence[Sequence[int]] | None = None
) -> LabelSpec:
    """Labels from names as a file holds them; a palette of the wrong length is not used.

    Raises:
        InputError: A name or a colour is none.
    """
    names = tuple("".join(filter(str.isprintable, str(name))) for name in class_names)
    if palette is None or len(palette) != len(names):
        return LabelSpec(class_names=names, palette=voc_palette(len(names)))
    try:
        colors = tuple((int(red), int(green), int(blue)) for red, green, blue in palette)
    except (TypeError, ValueError, OverflowError) as error:
        raise InputError(f"the palette in the file holds no colours: {palette}") from error
    return LabelSpec(class_names=names, palette=colors)


def labels_by_count(num_classes: int) -> LabelSpec | None:
    """Labels of the one well-known data set with so many classes: 19 or 21; None for others."""
    return {19: cityscapes_labels, 21: voc_labels}.get(num_classes, lambda: None)()
