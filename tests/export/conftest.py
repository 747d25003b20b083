"""A network small enough to be exported in a second, and its files in every format."""

import numpy as np
import pytest
import torch

from dualseg.core.facts import ModelFacts, default_labels
from dualseg.models.catalog import create_model

GATE_SIZES = ((64, 96), (65, 83))


def small_network(name="fcn", *, input_scale=1.0, **options):
    """With facts, pruned, and batch norms that do something."""
    torch.manual_seed(0)
    arguments = {"backbone": "test_resnet", "num_classes": 4} | options
    model = create_model(name, **arguments).prune().eval()
    for name, buffer in model.named_buffers():
        if name.endswith("running_var"):
            buffer.uniform_(0.5, 2.0)
    labels = default_labels(arguments["num_classes"])
    model.facts = ModelFacts(model.architecture, labels, input_scale=input_scale)
    return model


@pytest.fixture(scope="session")
def network():
    return small_network()


@pytest.fixture(scope="session")
def files(network, tmp_path_factory):
    """The network's file in every format that is installed, by the format's name."""
    from dualseg.export.packages import is_installed
    from dualseg.export.write import export_model

    folder = tmp_path_factory.mktemp("exported")
    made = {}
    for name, suffix, package in (
        ("onnx", ".onnx", "onnxscript"),
        ("openvino", ".xml", "openvino"),
        ("torch", ".pt2", "torch"),
    ):
        if is_installed(package):
            made[name] = folder / f"small{suffix}"
            export_model(network, made[name], format_name=name, gate_sizes=GATE_SIZES)
    return made


@pytest.fixture
def file_of(files):
    """Path of a format's file; the test is skipped where the format is not installed."""

    def find(name):
        if name not in files:
            pytest.skip(f"the packages for {name} are not installed")
        return files[name]

    return find


@pytest.fixture
def image():
    """(61, 90, 3) uint8, an odd size."""
    return np.random.default_rng(1).integers(0, 256, (61, 90, 3), dtype=np.uint8)


@pytest.fixture(name="small_network", scope="session")
def small_network_fixture():
    return small_network
