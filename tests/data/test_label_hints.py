"""What is suggested for label values that are no class."""

from pathlib import Path

import pytest

from dualseg.core.labels import LabelSpec, voc_palette
from dualseg.data.checking.label_hints import suggested_fix


@pytest.mark.parametrize(
    ("num_classes", "values"),
    [
        (2, "{1: 0, 2: 1}"),
        (4, "{1: 0, 2: 1, 3: 2, 4: 3}"),
        (19, "{1: 0, 2: 1, ..., 19: 18}"),
    ],
)
def test_ids_from_1_on_are_written_out_up_to_four(num_classes: int, values: str) -> None:
    labels = LabelSpec(tuple(map(str, range(num_classes))), voc_palette(num_classes))
    fix = suggested_fix(Path("a.png"), [num_classes], set(range(1, num_classes + 1)), labels)
    assert fix == f"ids seem to start at 1: in dataset.yaml, values: {values}"
