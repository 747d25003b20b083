"""Polygons: along the edges of pixels, with holes, at their place on Earth."""

import json
from pathlib import Path

import numpy as np
import pytest

from dualseg.core.labels import LabelSpec
from dualseg.inference.files import PredictOptions, predict_files
from dualseg.inference.predictor import Predictor
from dualseg.inference.written import polygons

rasterio = pytest.importorskip("rasterio")

LABELS = LabelSpec(("ground", "house"), ((0, 0, 0), (255, 0, 0)))


def area(ring: list[list[float]]) -> float:
    points = np.array(ring)
    x, y = points[:, 0], points[:, 1]
    return abs((x[:-1] * y[1:] - x[1:] * y[:-1]).sum()) / 2


def test_a_house_is_a_hole_in_the_ground() -> None:
    label_map = np.zeros((6, 8), np.uint8)
    label_map[2:4, 3:6] = 1
    features = polygons(label_map, LABELS)["features"]
    by_class = {feature["properties"]["class"]: feature["geometry"] for feature in features}
    (house,) = by_class["house"]["coordinates"]
    assert {tuple(point) for point in house} == {(3, 2), (6, 2), (6, 4), (3, 4)}
    outside, hole = by_class["ground"]["coordinates"]
    assert (area(outside), area(hole)) == (48, 6)


def test_ignored_pixels_are_no_polygon_and_corners_do_not_connect() -> None:
    label_map = np.array([[1, 255], [255, 1]], np.uint8)
    found = polygons(label_map, LABELS)
    assert [feature["properties"]["class_id"] for feature in found["features"]] == [1, 1]
    assert "crs" not in found


def test_polygons_of_a_geotiff_are_in_its_coordinates(predictor: Predictor, tmp_path: Path) -> None:
    bright = np.full((3, 10, 20), 255, np.uint8)
    with rasterio.open(
        tmp_path / "x.tif",
        "w",
        driver="GTiff",
        count=3,
        height=10,
        width=20,
        dtype="uint8",
        crs="EPSG:32633",
        transform=rasterio.transform.from_origin(1000, 5000, 10, 10),
    ) as file:
        file.write(bright)
    options = PredictOptions(write=["geojson"])
    (result,) = predict_files(predictor, [tmp_path / "x.tif"], tmp_path, options=options)
    assert result.files["geojson"].name == "x.geojson"
    found = json.loads(result.files["geojson"].read_text())
    assert found["crs"]["properties"]["name"] == "EPSG:32633"
    (feature,) = found["features"]
    assert feature["properties"] == {"class_id": 1, "class": "bright"}
    corners = {tuple(point) for point in feature["geometry"]["coordinates"][0]}
    assert corners == {(1000, 5000), (1200, 5000), (1200, 4900), (1000, 4900)}
