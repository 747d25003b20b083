"""`dataset.yaml` of a converted folder: the classes, so that it means the same when it is read."""

from pathlib import Path
from typing import Any

from dualseg.config import dump_yaml
from dualseg.core.files import write_text
from dualseg.core.image_spec import ImageSpec
from dualseg.core.labels import Color, LabelSpec
from dualseg.data.datasets.dataset_yaml import DECLARATION_FILE


def write_named_classes(out: Path, labels: LabelSpec, images: ImageSpec) -> None:
    """For labels that name their classes.

    Args:
        out: The new folder.
        labels: Classes.
        images: How the images are read.
    """
    _write(out, labels, images, {})


def write_numbered_classes(out: Path, labels: LabelSpec, images: ImageSpec) -> None:
    """For masks that hold class ids; see `write_named_classes`."""
    plain = LabelSpec(labels.class_names, labels.palette).to_dict()
    _write(out, labels, images, {key: plain[key] for key in ("ignore_index", "values")})


def write_colored_classes(out: Path, labels: LabelSpec, images: ImageSpec, ignored: Color) -> None:
    """For masks that hold colours; see `write_named_classes`.

    Args:
        out, labels, images: As there.
        ignored: The colour of what is ignored.
    """
    colors = [
        {"color": list(color), "class": number} for number, color in enumerate(labels.palette)
    ]
    colors.append({"color": list(ignored), "class": labels.ignore_index})
    _write(out, labels, images, {"colors": colors})


def _write(out: Path, labels: LabelSpec, images: ImageSpec, meaning: dict[str, Any]) -> None:
    plain = labels.to_dict()
    usual = ImageSpec().to_dict()
    content = {
        "class_names": plain["class_names"],
        "palette": plain["palette"],
        **meaning,
        **{key: value for key, value in images.to_dict().items() if value != usual[key]},
    }
    write_text(out / DECLARATION_FILE, dump_yaml(content))
