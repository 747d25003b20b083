"""Networks of segmentation_models_pytorch, against answers of the library itself.

`tests/reference/make_smp_golden.py` made the golden files. `pytest -m oracle` on this file asks the
installed library: pip install segmentation-models-pytorch==0.6.0.
"""

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import save_file

from dualseg.checkpoints.foreign.checkpoint import ForeignCheckpoint
from dualseg.checkpoints.foreign.read import read_foreign
from dualseg.checkpoints.importers import smp
from dualseg.checkpoints.importers.catalog import import_checkpoint
from dualseg.checkpoints.importers.translation import Translation
from dualseg.core.errors import InputError
from reference.golden import compare, load_golden
from reference.original_weights import original_tensors
from reference.originals import GOLDEN, build
from reference.random_weights import random_image

DEFAULTS = {"in_channels": 3, "activation": None, "aux_params": None, "encoder_depth": 5}
PLUS = {
    **DEFAULTS,
    "decoder_aspp_separable": True,
    "upsampling": 4,
    "_model_class": "DeepLabV3Plus",
}
# Golden file -> the architecture the tensors tell, and what config.json says.
NETWORKS: dict[str, tuple[str, dict[str, Any]]] = {
    "deeplabv3_resnet18_os8": ("deeplabv3_resnet18", {**DEFAULTS, "encoder_output_stride": 8}),
    "deeplabv3_resnet18_os16_timm": (
        "deeplabv3_resnet18",
        {**DEFAULTS, "encoder_output_stride": 16},
    ),
    "deeplabv3plus_resnet50_os16": (
        "deeplabv3plus_resnet50",
        {**PLUS, "encoder_output_stride": 16},
    ),
    "deeplabv3plus_resnet18_os8": (
        "deeplabv3plus_resnet18",
        {**PLUS, "encoder_output_stride": 8, "decoder_atrous_rates": [6, 12, 18]},
    ),
    "pspnet_resnet50": ("pspnet_resnet50", {}),
    "pspnet_resnet34_timm": ("pspnet_resnet34", {}),
}


def checkpoint(name: str, config: dict[str, Any] | None = None) -> ForeignCheckpoint:
    tensors = original_tensors(load_golden(GOLDEN / f"smp_{name}.npz").shapes)
    meta = {"config": config} if config else {}
    return ForeignCheckpoint(Path("model.pth"), "0" * 64, "torch zip", tensors, meta)


def translate(file: ForeignCheckpoint, arch: str | None = None) -> Translation:
    known = smp.recognise(file.tensors)
    assert known in smp.ARCHITECTURES
    return smp.translate(file, arch or known)


def assert_same_logits(name: str, translation: Translation, **changes: Any) -> None:
    architecture = {**translation.architecture, **changes}
    model = build(replace(translation, architecture=architecture))
    for size, sample in load_golden(GOLDEN / f"smp_{name}.npz").outputs.items():
        with torch.no_grad():
            compare(model(random_image(size)).logits, sample)


@pytest.mark.parametrize("name", NETWORKS)
def test_the_logits_are_the_librarys(name: str):
    arch, config = NETWORKS[name]
    file = checkpoint(name, config)
    assert smp.recognise(file.tensors) == arch
    assert_same_logits(name, translate(file))


@pytest.mark.parametrize(
    ("name", "change"),
    [
        ("deeplabv3_resnet18_os8", {"first_block": "contract"}),
        ("deeplabv3_resnet18_os16_timm", {"first_block": "full"}),
        ("deeplabv3plus_resnet18_os8", {"align_corners": False}),
        ("deeplabv3plus_resnet18_os8", {"atrous_rates": [12, 24, 36]}),
    ],
    ids=str,
)
def test_same_tensors_in_another_network_give_other_logits(name: str, change: dict[str, Any]):
    translation = translate(checkpoint(name, NETWORKS[name][1]))
    with pytest.raises(AssertionError, match="logits differ"):
        assert_same_logits(name, translation, **change)


def test_a_folder_as_the_library_saves_it(tmp_path: Path):
    name = "deeplabv3plus_resnet18_os8"
    save_file(dict(checkpoint(name).tensors), tmp_path / "model.safetensors")
    (tmp_path / "config.json").write_text(json.dumps(NETWORKS[name][1]))
    translation = translate(read_foreign(tmp_path))
    assert translation.source.endswith("output stride and rates from config.json")
    assert_same_logits(name, translation)


def test_a_bare_state_dict_is_asked_for_its_stride():
    name = "deeplabv3_resnet18_os8"
    with pytest.raises(
        InputError, match="--arch deeplabv3_resnet18-os8 or deeplabv3_resnet18-os16"
    ):
        translate(checkpoint(name))
    assert_same_logits(name, translate(checkpoint(name), arch="deeplabv3_resnet18-os8"))


def test_names_from_before_the_decoder_could_be_scripted():
    name = "deeplabv3_resnet18_os8"
    now = checkpoint(name, NETWORKS[name][1])
    parts = {
        "decoder.aspp.": "decoder.0.",
        "decoder.conv.": "decoder.1.",
        "decoder.bn.": "decoder.2.",
    }
    tensors = dict(now.tensors)
    for new, old in parts.items():
        tensors = {key.replace(new, old): value for key, value in tensors.items()}
    assert_same_logits(name, translate(replace(now, tensors=tensors)))


def test_unread_stages_and_image_classifiers_are_named_as_dropped():
    file = checkpoint("pspnet_resnet50")
    classifier = {"classification_head.3.weight": torch.zeros(4, 512)}
    translation = translate(replace(file, tensors={**file.tensors, **classifier}))
    reasons = set(translation.dropped.values())
    assert "encoder.layer4.2.conv3.weight" in translation.dropped
    assert reasons == {"the network reads no feature beyond stride 8", "classifies whole images"}


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"encoder_depth": 4}, "encoder_depth 4; covered is 5"),
        ({"upsampling": 2}, "upsampling 2; covered is 4"),
        ({"decoder_aspp_separable": False}, "decoder_aspp_separable False; covered is True"),
        ({"decoder_atrous_rates": "wide"}, "config.json"),
    ],
)
def test_another_network_of_the_same_class_is_refused(change: dict[str, Any], message: str):
    name = "deeplabv3plus_resnet18_os8"
    with pytest.raises(InputError, match=message):
        translate(checkpoint(name, {**NETWORKS[name][1], **change}))


def test_an_arch_that_contradicts_the_file_is_refused():
    name = "deeplabv3plus_resnet18_os8"
    with pytest.raises(InputError, match="its output stride is 8, not 16; leave --arch out"):
        translate(checkpoint(name, NETWORKS[name][1]), arch="deeplabv3plus_resnet18-os16")
    with pytest.raises(InputError, match="its tensors are those of deeplabv3plus_resnet18"):
        translate(checkpoint(name), arch="deeplabv3_resnet18-os8")


def test_a_single_logit_is_refused(tmp_path: Path):
    name = "deeplabv3_resnet18_os8"
    file = checkpoint(name, NETWORKS[name][1])
    last = {
        f"segmentation_head.0.{k}": file.tensors[f"segmentation_head.0.{k}"][:1]
        for k in ("weight", "bias")
    }
    tensors = {**file.tensors, **{key: tensor.contiguous() for key, tensor in last.items()}}
    save_file(tensors, tmp_path / "model.safetensors")
    (tmp_path / "config.json").write_text(json.dumps(NETWORKS[name][1]))
    with pytest.raises(InputError, match="a single logit"):
        import_checkpoint(tmp_path)


def test_networks_that_are_not_covered_are_named():
    one = torch.zeros(1)
    unet = {"encoder.conv1.weight": one, "decoder.blocks.0.conv1.0.weight": one}
    with pytest.raises(InputError, match="Unet, FPN or the like on an encoder that is no ResNet"):
        smp.recognise({**unet, "segmentation_head.0.weight": one})
    assert smp.recognise({"encoder.conv1.weight": one}) is None


@pytest.mark.oracle
@pytest.mark.parametrize("encoder", ["resnet34", "resnet101", "resnet152", "tu-resnet50"])
@pytest.mark.parametrize("kind", ["DeepLabV3", "DeepLabV3Plus", "PSPNet"])
def test_the_installed_library_gives_the_same_logits(tmp_path: Path, kind: str, encoder: str):
    library = pytest.importorskip("segmentation_models_pytorch")
    network = getattr(library, kind)(encoder, encoder_weights=None, classes=7).eval()
    shapes = {name: tuple(value.shape) for name, value in network.state_dict().items()}
    network.load_state_dict(original_tensors(shapes))
    network.save_pretrained(tmp_path)
    model = build(translate(read_foreign(tmp_path)))
    for size in ((64, 608), (80, 592)):
        with torch.no_grad():
            expected, found = network(random_image(size)), model(random_image(size)).logits
        assert (found - expected).abs().max() <= 1e-4 * expected.abs().max()
        assert (found.argmax(1) == expected.argmax(1)).float().mean() >= 0.9999
