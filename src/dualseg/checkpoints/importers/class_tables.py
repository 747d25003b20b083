"""Classes of the data sets that published weights were trained on, for files that do not say."""

from collections.abc import Sequence

from dualseg.core.labels import Color, LabelSpec, voc_palette

VOC = (
    "__background__",
    "aeroplane",
    "bicycle",
    "bird",
    "boat",
    "bottle",
    "bus",
    "car",
    "cat",
    "chair",
    "cow",
    "diningtable",
    "dog",
    "horse",
    "motorbike",
    "person",
    "pottedplant",
    "sheep",
    "sofa",
    "train",
    "tvmonitor",
)

CITYSCAPES: dict[str, Color] = {
    "road": (128, 64, 128),
    "sidewalk": (244, 35, 232),
    "building": (70, 70, 70),
    "wall": (102, 102, 156),
    "fence": (190, 153, 153),
    "pole": (153, 153, 153),
    "traffic light": (250, 170, 30),
    "traffic sign": (220, 220, 0),
    "vegetation": (107, 142, 35),
    "terrain": (152, 251, 152),
    "sky": (70, 130, 180),
    "person": (220, 20, 60),
    "rider": (255, 0, 0),
    "car": (0, 0, 142),
    "truck": (0, 0, 70),
    "bus": (0, 60, 100),
    "train": (0, 80, 100),
    "motorcycle": (0, 0, 230),
    "bicycle": (119, 11, 32),
}


def voc_labels() -> LabelSpec:
    """PASCAL VOC 2012: 21 classes, the background among them."""
    return named_labels(VOC)


def cityscapes_labels() -> LabelSpec:
    """Cityscapes: the 19 classes that are scored."""
    return named_labels(tuple(CITYSCAPES), tuple(CITYSCAPES.values()))


def named_labels(
    class_names: Sequence[str], palette: Sequence[Sequence[int]] | None = None
) -> LabelSpec:
    """Labels from names as a file holds them; a palette of the wrong length is not used."""
    names = tuple("".join(filter(str.isprintable, str(name))) for name in class_names)
    if palette is None or len(palette) != len(names):
        return LabelSpec(class_names=names, palette=voc_palette(len(names)))
    colors = tuple((int(color[0]), int(color[1]), int(color[2])) for color in palette)
    return LabelSpec(class_names=names, palette=colors)


def labels_by_count(num_classes: int) -> LabelSpec | None:
    """Labels of the one well-known data set with so many classes: 19 or 21; None for others."""
    return {19: cityscapes_labels, 21: voc_labels}.get(num_classes, lambda: None)()
