"""Contract: every network of the catalogue passes its gate at two sizes, in every format."""

import pytest
import torch

from dualseg.core.facts import ModelFacts, default_labels
from dualseg.export.write import export_model
from dualseg.models.catalog import ENTRIES, create_model, list_models

SIZES = ((96, 160), (129, 97))
SUFFIX = {"onnx": ".onnx", "openvino": ".xml", "torch": ".pt2"}
PACKAGE = {"onnx": "onnxscript", "openvino": "openvino", "torch": "torch"}
BACKBONE_FOR = {
    "deeplabv1": "vgg16",
    "lraspp": "mobilenet_v3_large",
    "densenet_fusion": "dense30k12",
}
HEADS = [
    (name, BACKBONE_FOR.get(name, "resnet18"), {"head_variant": variant})
    for name in list_models()
    for variant in (ENTRIES[name].variants or (None,))
]
BACKBONES = [
    ("deeplabv3plus", "mobilenet_v2", {"dsrl": True}),
    ("deeplabv3plus", "xception65", {}),
    ("deeplabv3plus", "drn_d_22", {"output_stride": 8}),
    ("deeplabv3plus", "densenet121", {}),
    ("deeplabv3plus", "convnext_atto", {"output_stride": 32}),
    ("deeplabv3plus", "vit_tiny_patch16_224", {"neck": "pyramid"}),
    ("fcn", "vit_tiny_patch16_224", {}),
    ("pspnet", "resnet18", {"neck": "jpu", "output_stride": 32}),
    ("deeplabv3", "resnet18", {"multi_grid": (1, 2), "first_block": "full", "stem": "s"}),
    ("ccnet", "resnet18", {"align_corners": True, "backbone_options": {"ceil_pool": True}}),
]
AT_ONE_SIZE = [
    ("fcn", "swin_tiny_patch4_window7_224", {"output_stride": 32}),
    ("deeplabv3plus", "tf_efficientnet_lite0", {}),
]


def network_id(network):
    name, backbone, options = network
    return "-".join([name, backbone, *(str(v) for v in options.values() if v is not None)])


def untrained(name, backbone, options):
    torch.manual_seed(0)
    scale = 0.5 if options.get("dsrl") else 1.0
    model = create_model(name, backbone=backbone, num_classes=4, **options).eval().prune().eval()
    model.facts = ModelFacts(model.architecture, default_labels(4), input_scale=scale)
    return model


@pytest.mark.slow
@pytest.mark.parametrize("format_name", SUFFIX)
@pytest.mark.parametrize("network", HEADS + BACKBONES, ids=network_id)
def test_every_network_exports(network, format_name, tmp_path):
    pytest.importorskip(PACKAGE[format_name])
    path = tmp_path / f"x{SUFFIX[format_name]}"
    parity = export_model(untrained(*network), path, format_name=format_name, gate_sizes=SIZES)
    assert path.is_file()
    assert parity.relative <= 1e-4
    assert len(parity.sizes) == 2


@pytest.mark.slow
@pytest.mark.parametrize("format_name", SUFFIX)
@pytest.mark.parametrize("size", SIZES, ids=str)
@pytest.mark.parametrize("network", AT_ONE_SIZE, ids=network_id)
def test_networks_that_reckon_with_the_size_export_at_one(network, size, format_name, tmp_path):
    pytest.importorskip(PACKAGE[format_name])
    path = tmp_path / f"x{SUFFIX[format_name]}"
    parity = export_model(untrained(*network), path, format_name=format_name, size=size)
    assert path.is_file()
    assert parity.relative <= 1e-4
