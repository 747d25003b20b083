"""What can be written of a prediction, one function a kind of file."""

import json
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from dualseg.core.errors import InputError, nearest
from dualseg.core.files import write_bytes, write_text
from dualseg.core.labels import LabelSpec
from dualseg.data.pictures.images import label_png
from dualseg.inference.geotiff import georeference_of, rasterio
from dualseg.inference.own_results import marked_png
from dualseg.visual.overlay import blend, borders, paint
from dualseg.visual.pictures import encode_png

if TYPE_CHECKING:
    from affine import Affine  # pyright: ignore[reportMissingImports]

DEFAULT_KINDS = ("labels", "overlay")
CONTOUR_COLOR = (255, 235, 59)
GAP = 8
"""White pixels between the two pictures of side_by_side."""
STRIPE = 512
"""Rows that are blended at once, as floating-point numbers."""


class Prediction(NamedTuple):
    """All that may be written of one image.

    path: The image's file. picture: (H, W, 3) RGB. label_map: (H, W) ids. confidence: (H, W) of the
    predicted class, 0 to 1; None where no kind needs it. labels: Classes and palette.
    """

    path: Path
    picture: NDArray[np.uint8]
    label_map: NDArray[np.uint8]
    confidence: NDArray[np.float32] | None
    labels: LabelSpec


class Kind(NamedTuple):
    """suffix: Follows the image's name. write: Puts a prediction there."""

    suffix: str
    write: Callable[[Path, Prediction], object]


def read_kinds(names: Sequence[str]) -> tuple[str, ...]:
    """The names, each once and known.

    Raises:
        InputError: No name, or an unknown one.
    """
    chosen = tuple(dict.fromkeys(name.strip() for name in names if name.strip()))
    if not chosen:
        raise InputError(f"nothing is asked to be written; {nearest('', KINDS)}")
    for name in chosen:
        if name not in KINDS:
            raise InputError(f"{name!r} is nothing that can be written; {nearest(name, KINDS)}")
    return chosen


def file_of(kind: str, image: Path, out_dir: Path) -> Path:
    """Where a kind of file of an image stands."""
    return out_dir / f"{image.stem}{KINDS[kind].suffix}"


def _write_labels(path: Path, prediction: Prediction) -> None:
    write_bytes(path, marked_png(label_png(prediction.label_map, prediction.labels)))


def _write_overlay(path: Path, prediction: Prediction) -> None:
    write_picture(path, _overlay(prediction))


def _write_color(path: Path, prediction: Prediction) -> None:
    write_picture(path, paint(prediction.label_map, prediction.labels))


def _write_contour(path: Path, prediction: Prediction) -> None:
    """The image with the borders between classes drawn on it, two pixels wide."""
    drawn = prediction.picture.copy()
    edge = borders(prediction.label_map)
    edge[1:] |= edge[:-1].copy()
    drawn[edge] = CONTOUR_COLOR
    write_picture(path, drawn)


def _write_confidence(path: Path, prediction: Prediction) -> None:
    """Gray, 255 for a probability of 1."""
    assert prediction.confidence is not None
    gray = (255 * prediction.confidence + 0.5).astype(np.uint8)
    write_picture(path, gray)


def _write_side_by_side(path: Path, prediction: Prediction) -> None:
    height = prediction.picture.shape[0]
    gap = np.full((height, GAP, 3), 255, np.uint8)
    write_picture(path, np.concatenate([prediction.picture, gap, _overlay(prediction)], axis=1))


def _write_geojson(path: Path, prediction: Prediction) -> None:
    crs, transform = georeference_of(prediction.path)
    collection = polygons(prediction.label_map, prediction.labels, crs=crs, transform=transform)
    write_text(path, json.dumps(collection, ensure_ascii=False) + "\n")


def polygons(
    label_map: NDArray[np.uint8],
    labels: LabelSpec,
    *,
    crs: str | None = None,
    transform: "Affine | None" = None,
) -> dict[str, Any]:
    """A GeoJSON feature collection: one polygon for each connected area, along pixel edges.

    Args:
        label_map: (H, W) ids; the ignored one becomes no polygon.
        labels: Names, for the properties `class` and `class_id`.
        crs: Name of the coordinate system, written as older GeoJSON did; not converted to WGS 84.
        transform: From (column, row) to coordinates; pixels, with y downward, where not given.

    Raises:
        InputError: rasterio is not installed.
    """
    rasterio()
    from rasterio.features import shapes  # pyright: ignore[reportMissingImports]
    from rasterio.transform import IDENTITY  # pyright: ignore[reportMissingImports]

    valid = label_map != labels.ignore_index
    areas = shapes(label_map, mask=valid, connectivity=4, transform=transform or IDENTITY)
    features = [
        {
            "type": "Feature",
            "properties": {"class_id": int(value), "class": labels.class_names[int(value)]},
            "geometry": geometry,
        }
        for geometry, value in areas
    ]
    collection: dict[str, Any] = {"type": "FeatureCollection", "features": features}
    if crs is not None:
        collection["crs"] = {"type": "name", "properties": {"name": crs}}
    return collection


def _overlay(prediction: Prediction) -> NDArray[np.uint8]:
    """Stripe by stripe, each with the row below it, to which it may have a border."""
    picture, label_map, labels = prediction.picture, prediction.label_map, prediction.labels
    overlay = np.empty_like(picture)
    for top in range(0, len(overlay), STRIPE):
        seen = slice(top, top + STRIPE + 1)
        overlay[top : top + STRIPE] = blend(picture[seen], label_map[seen], labels)[:STRIPE]
    return overlay


def write_picture(path: Path, picture: NDArray[np.uint8]) -> None:
    """(H, W, 3) RGB or (H, W) gray as a PNG that is marked as predicted."""
    write_bytes(path, marked_png(encode_png(picture)))


KINDS = {
    "labels": Kind("_labels.png", _write_labels),
    "overlay": Kind("_overlay.png", _write_overlay),
    "color": Kind("_color.png", _write_color),
    "contour": Kind("_contour.png", _write_contour),
    "confidence": Kind("_confidence.png", _write_confidence),
    "side_by_side": Kind("_side_by_side.png", _write_side_by_side),
    "geojson": Kind(".geojson", _write_geojson),
}
