"""Classes of a network that goes on with others are found by their names."""

import pytest
import torch

from dualseg.checkpoints.importers.new_classes import keep_known_rows, moves_a_class
from dualseg.core.labels import LabelSpec, voc_palette


def _labels(*names: str) -> LabelSpec:
    return LabelSpec(class_names=names, palette=voc_palette(len(names)))


@pytest.mark.parametrize(
    ("old", "new", "rows"),
    [
        (("road", "Car"), ("car", "sky"), [1, None]),
        (("Car", "car"), ("car", "Car"), [1, 0]),
        (("Car", "car"), ("CAR", "sky"), [None, None]),
        (("Car", "sky"), ("car", "CAR"), [None, None]),
        (("Car", "sky"), ("Car", "car"), [0, None]),
        (("Car", "car"), ("sky", "car", "CAR"), [None, 1, None]),
    ],
)
def test_case_counts_where_names_differ_in_nothing_else(
    old: tuple[str, ...], new: tuple[str, ...], rows: list[int | None]
) -> None:
    weights = {"classifier.bias": torch.arange(10.0, 10.0 + len(old))}
    fresh = {"classifier.bias": torch.full((len(new),), -1.0)}
    axes = {"classifier.bias": (0,)}
    replaced = keep_known_rows(weights, fresh, axes, _labels(*old), _labels(*new))
    expected = [-1.0 if row is None else 10.0 + row for row in rows]
    assert replaced.weights["classifier.bias"].tolist() == expected
    assert replaced.new == tuple(n for n, row in zip(new, rows, strict=True) if row is None)


def test_a_class_moves_where_its_own_row_is_another() -> None:
    assert not moves_a_class(_labels("Car", "car"), _labels("Car", "car"))
    assert moves_a_class(_labels("Car", "car"), _labels("car", "Car"))
    assert not moves_a_class(_labels("road", "Car"), _labels("Road", "CAR"))
