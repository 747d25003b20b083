"""Accuracy by distance from a boundary, on pictures small enough to count."""

from pathlib import Path

import pytest
import torch
from torch import nn

from camvid_study.bands import band_cells, band_names, measure_bands
from dualseg.core.facts import ModelFacts
from dualseg.data.datasets.camvid import open_camvid
from dualseg.metrics.contours import contour, distance_from
from dualseg.models.catalog import create_model
from dualseg.models.segmentation import SegmentationModel

ROAD = 3


def test_the_bands_follow_each_other():
    assert band_names() == ["0 to 2 px", "2 to 4 px", "4 to 8 px", "8 to 16 px", "from 16 px"]


@pytest.fixture
def only_road(tiny_camvid: Path) -> SegmentationModel:
    network = create_model("fcn", backbone="resnet18", num_classes=11).eval()
    nn.init.zeros_(network.predictor.conv.weight)
    network.predictor.conv.bias.data = torch.eye(11)[ROAD]
    labels = open_camvid(tiny_camvid, "val").labels
    network.facts = ModelFacts(network.architecture, labels)
    return network


def test_each_band_is_counted_on_its_known_pixels(only_road: SegmentationModel, tiny_camvid: Path):
    dataset = open_camvid(tiny_camvid, "val")
    targets = [dataset.label_map(index) for index in range(len(dataset))]
    distances = [distance_from(contour(target)) for target in targets]

    found = measure_bands(only_road, dataset)

    known = sum(int((target < 11).sum()) for target in targets)
    pairs = list(zip(targets, distances, strict=True))
    for name, low, high in (("0 to 2 px", 0, 2), ("4 to 8 px", 4, 8), ("from 16 px", 16, 1e9)):
        inside = [target[(d >= low) & (d < high) & (target < 11)] for target, d in pairs]
        count, road = sum(map(len, inside)), sum(int((ids == ROAD).sum()) for ids in inside)
        assert 0 < road < count
        assert found[f"share {name}"] == pytest.approx(count / known)
        assert found[f"right {name}"] == pytest.approx(road / count)
    assert sum(found[f"share {name}"] for name in band_names()) == pytest.approx(1)


def test_without_a_measurement_there_is_a_head_alone():
    assert len(band_cells({})) == 1
