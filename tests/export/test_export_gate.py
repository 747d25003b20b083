"""A file that does not answer as the network is not kept, and the first layer that differs is
named."""

import copy
import os
import shutil
from types import SimpleNamespace

import numpy as np
import pytest
import torch
from torch import nn

from dualseg.core.errors import InputError
from dualseg.core.files import DiskFullError
from dualseg.data.catalog import open_dataset
from dualseg.evaluation.evaluate import evaluate
from dualseg.export.formats import FORMATS
from dualseg.export.layers import first_difference, relative_difference
from dualseg.export.parity import Parity, failures, measure_parity
from dualseg.export.rewrites.pooling import make_pooling_exportable
from dualseg.export.sessions import eager_session
from dualseg.export.shipped import Outputs
from dualseg.export.write import export_model

TINY = {"size": (32, 48), "with_label_map": False}
FILES = [
    ("onnx", ".onnx", "onnxscript"),
    ("openvino", ".xml", "openvino"),
    ("torch", ".pt2", "torch"),
]


class WrongOnceExported(nn.Module):
    """A ReLU that another runtime computes otherwise."""

    def forward(self, maps):
        return maps.relu() * (1.01 if torch.compiler.is_exporting() else 1.0)


def parity(**facts):
    return Parity(
        **{"relative": 0.0, "agreement": 1.0, "sizes": ((8, 8),), "num_images": 1} | facts
    )


def test_fp32_is_judged_by_its_logits():
    assert failures(parity(relative=0.99e-4), "fp32") == []
    (line,) = failures(parity(relative=1.01e-4), "fp32")
    assert "1.0e-04 of the largest; allowed 1e-04" in line


@pytest.mark.parametrize(("precision", "points"), [("fp32", 0.1), ("bf16", 0.1), ("int8", 0.5)])
def test_with_labels_the_miou_counts(precision, points):
    below = parity(agreement=0.0, miou_network=0.5, miou_file=0.5 + 0.0099 * points)
    above = parity(agreement=1.0, miou_network=0.5, miou_file=0.5 - 0.0101 * points)
    assert failures(below, precision) == []
    assert "its mIoU differs by" in failures(above, precision)[0]


def test_without_labels_the_share_of_equal_pixels_counts():
    assert failures(parity(agreement=0.991), "bf16") == []
    (line,) = failures(parity(agreement=0.989), "bf16")
    assert "without labels at least 99 % are needed" in line
    assert "with labelled images by --data the mIoU decides, within 0.1 points" in line


def test_nan_never_passes():
    for precision in ("fp32", "bf16", "int8"):
        assert failures(parity(relative=float("inf")), precision)


def test_relative_difference_by_hand():
    expected = np.array([1.0, -4.0])
    assert relative_difference(expected, np.array([1.0, -3.0])) == 0.25
    assert relative_difference(expected, np.array([1.0])) == float("inf")
    assert relative_difference(expected, np.array([np.nan, -4.0])) == float("inf")


def test_the_worst_image_and_every_pixel_count():
    logits = torch.tensor([[[[1.0, 0.0]], [[0.0, 1.0]]]])  # classes 0 and 1
    wrong = Outputs(logits, torch.tensor([[[0, 0]]]))  # its label map has one pixel of two right
    found = measure_parity(lambda _: logits, lambda _: logits, [logits], facts=None)
    assert (found.relative, found.agreement) == (0.0, 1.0)
    found = measure_parity(
        lambda _: logits, lambda _: logits, [logits], facts=None, shipped=lambda _: wrong
    )
    assert found.agreement == 0.75
    found = measure_parity(lambda _: logits, lambda _: 1.5 * logits, [logits], facts=None)
    assert found.relative == 0.5


def test_the_sample_is_scored_both_ways(small_network, tmp_path):
    scenes = open_dataset("streets", split="val")
    network = small_network(num_classes=scenes.labels.num_classes)
    found = export_model(
        network,
        tmp_path / "x.pt2",
        format_name="torch",
        labelled=Few(scenes),
        gate_sizes=((32, 48),),
    )
    expected = evaluate(network, Few(scenes)).scores.miou
    assert found.num_labelled == 3
    assert found.miou_network == pytest.approx(expected)
    assert found.miou_file == pytest.approx(expected, abs=1e-4)


class Few:
    """The first three images of a data set."""

    def __init__(self, whole):
        self.whole = whole

    def __len__(self):
        return 3

    def __getattr__(self, name):
        return getattr(self.whole, name)


@pytest.mark.parametrize(("name", "suffix", "package"), FILES)
def test_a_file_that_differs_is_refused_and_leaves_nothing(
    small_network, tmp_path, name, suffix, package
):
    pytest.importorskip(package)
    network = small_network()
    network.head.conv[2] = WrongOnceExported()
    with pytest.raises(InputError, match="does not answer as the network; nothing is kept") as info:
        export_model(
            network,
            tmp_path / f"x{suffix}",
            format_name=name,
            **TINY,
        )
    if name != "torch":  # its layers would be compared with themselves
        assert "the first layer that differs is head.conv.2 (by 1.0e-02" in str(info.value)
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(("name", "suffix", "package"), FILES[1:])
def test_a_full_disk_is_told_as_such_and_nothing_is_left(
    small_network, tmp_path, monkeypatch, name, suffix, package
):
    pytest.importorskip(package)
    resource = pytest.importorskip("resource")
    network = small_network()
    monkeypatch.setattr(shutil, "disk_usage", lambda _: SimpleNamespace(free=0))
    child = os.fork()
    if child == 0:
        resource.setrlimit(resource.RLIMIT_FSIZE, (20_000, 20_000))
        try:
            export_model(network, tmp_path / f"x{suffix}", format_name=name, **TINY)
        except DiskFullError as error:
            os._exit(7 if "no space left to write" in str(error) else 1)
        finally:
            os._exit(1)
    assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 7
    assert list(tmp_path.iterdir()) == []


def test_the_disk_need_not_hold_a_file_twice(small_network, tmp_path, monkeypatch):
    write, beside = FORMATS["torch"].write, []

    def spy(graph, path, facts, note):
        beside.append(list(path.parent.iterdir()))
        write(graph, path, facts, note)

    monkeypatch.setattr(FORMATS["torch"], "write", spy)
    export_model(small_network(), tmp_path / "x.pt2", format_name="torch", **TINY)
    assert beside == [[], []]


def test_a_rewrite_that_is_not_exact_is_refused(small_network, tmp_path):
    def doubled(model):
        with torch.no_grad():
            rewritten = make_pooling_exportable(copy.deepcopy(model))
            rewritten.get_submodule("predictor.conv").weight.mul_(1.01)
        return rewritten

    pytest.importorskip("openvino")
    with pytest.raises(InputError, match="the rewrites changed the network's answers") as info:
        export_model(
            small_network(),
            tmp_path / "x.xml",
            format_name="openvino",
            rewrite=doubled,
            **TINY,
        )
    assert list(tmp_path.iterdir()) == []
    assert "of the largest; allowed 1e-04" in str(info.value)


def test_the_first_layer_beyond_rounding_is_found():
    network = nn.Sequential(nn.Conv2d(1, 1, 1), WrongOnceExported(), nn.Conv2d(1, 1, 1))

    def start(module, outputs):
        assert len(outputs) == 4

        def run(array):
            found = eager_session(module, "fp32")(array)
            found[1] = found[1] + 1.0
            found[3] = found[3] + 1.0
            return found

        return run

    inputs = np.ones((1, 1, 2, 2), np.float32)
    assert first_difference(network, inputs, start, "fp32").name == "1"
    assert first_difference(network, inputs, lambda m, _: eager_session(m, "fp32"), "fp32") is None


def test_padding_by_the_image_needs_a_size(small_network, tmp_path):
    network = small_network(backbone="tf_mobilenetv3_small_minimal_100", output_stride=32)
    with pytest.raises(InputError, match=r"conv_stem and \d+ more layers pad .* give --size HxW"):
        export_model(network, tmp_path / "x.pt2", format_name="torch")
    assert list(tmp_path.iterdir()) == []


def test_windows_need_a_size(small_network, tmp_path):
    network = small_network(backbone="swin_tiny_patch4_window7_224", output_stride=32)
    with pytest.raises(InputError, match=r"blocks.0 and \d+ more layers cut .* give --size HxW"):
        export_model(network, tmp_path / "x.pt2", format_name="torch")
    assert list(tmp_path.iterdir()) == []
