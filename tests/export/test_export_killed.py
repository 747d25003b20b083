"""Exports by a process that is killed at each change of a file."""

from pathlib import Path

import pytest

from dualseg.core.files import TEMPORARY_MARK
from dualseg.export.loading import load_exported
from dualseg.export.packages import is_installed
from dualseg.export.write import export_model
from kill_points import dies_at

FORMATS = {
    "onnx": (".onnx", "onnxscript"),
    "openvino": (".xml", "openvino"),
    "torch": (".pt2", "torch"),
}


@pytest.mark.slow
@pytest.mark.parametrize("name", FORMATS)
def test_a_killed_export_leaves_a_whole_file_or_none(name, small_network, tmp_path: Path) -> None:
    suffix, package = FORMATS[name]
    if not is_installed(package):
        pytest.skip(f"{package} is not installed")
    network, point = small_network(), 1
    while True:
        out = tmp_path / f"killed_{point}" / f"net{suffix}"
        out.parent.mkdir()

        def export(out: Path = out) -> None:
            export_model(network, out, format_name=name, gate_sizes=((64, 96),))

        if not dies_at(point, out.parent, export):
            break
        standing = [p for p in out.parent.iterdir() if not p.name.startswith(TEMPORARY_MARK)]
        if out in standing:
            assert load_exported(out).facts.labels.num_classes == 4
        else:
            assert standing in ([], [out.with_suffix(".bin")])
        point += 1
    assert point > 4
