"""A paper's backbone options: each is taken where it is not given, and where it can be."""

import json

import pytest
import torch

from dualseg.checkpoints.model_files import load_model, save_model
from dualseg.core.facts import ModelFacts, default_labels
from dualseg.models.catalog import create_model

FUSION = {"stem": "deep", "compression": False, "latter_pooling": False, "dropout": 0.2}
SMP = {"head_variant": "smp"}


def build(name, backbone, **options):
    with torch.device("meta"):  # shapes only
        return create_model(name, num_classes=3, backbone=backbone, **options)


def count(network):
    return sum(p.numel() for p in network.parameters())


@pytest.mark.parametrize(
    ("name", "backbone", "options", "given", "chosen"),
    [
        ("densenet_fusion", "dense30k12", {}, {"dropout": 0.1}, FUSION | {"dropout": 0.1}),
        ("densenet_fusion", "dense30k12", {}, {}, FUSION),
        ("pspnet", "resnet18", SMP, {"norm_eps": 0.001}, {"depth": 3, "norm_eps": 0.001}),
        ("pspnet", "resnet18", SMP, {"depth": None}, {"depth": None}),
        ("deeplabv1", "vgg16", {}, {}, {"pools": "large_fov"}),
        ("pspnet", "resnet18", {}, {"norm_eps": 0.001}, {"norm_eps": 0.001}),
    ],
)
def test_an_option_given_leaves_the_papers_others_in_place(name, backbone, options, given, chosen):
    network = build(name, backbone, backbone_options=given, **options)

    assert network.architecture["backbone_options"] == chosen


def test_both_spellings_of_a_densenet_are_one_network():
    assert count(build("densenet_fusion", "densenet30k12")) == count(
        build("densenet_fusion", "dense30k12")
    )


@pytest.mark.parametrize(
    ("name", "backbone", "options"),
    [
        ("densenet_fusion", "resnet18", {}),
        ("densenet_fusion", "densenet121", {}),
        ("densenet_fusion", "vit_tiny_patch16_224", {"neck": "pyramid"}),
        ("pspnet", "densenet121", SMP),
        ("pspnet", "drn_d_22", SMP),
    ],
)
def test_a_backbone_without_the_papers_options_is_taken_as_it_is(name, backbone, options):
    assert build(name, backbone, **options).architecture["backbone_options"] == {}


@pytest.mark.parametrize(
    ("name", "backbone", "options", "stored"),
    [
        ("densenet_fusion", "densenet30k12", {}, {}),
        ("densenet_fusion", "dense30k12", {}, {"dropout": 0.1}),
        ("densenet_fusion", "dense30k12", {}, {"stem": "deep", "compression": False}),
        ("pspnet", "resnet18", SMP, {}),
        ("deeplabv1", "vgg16", {}, {}),
    ],
)
def test_a_file_of_before_with_few_options_is_still_the_network_it_was(
    name, backbone, options, stored, tmp_path
):
    plain = {"stem": "standard", "compression": True, "latter_pooling": True, "dropout": 0.0}
    own = {"densenet_fusion": plain, "pspnet": {"depth": None}, "deeplabv1": {"pools": "plain"}}
    network = build(name, backbone, backbone_options=own[name] | stored, **options)
    network = network.to_empty(device="cpu")
    for tensor in network.state_dict().values():
        tensor.zero_()
    save_model(tmp_path, network, ModelFacts(network.architecture, default_labels(3)))
    facts = json.loads((tmp_path / "model.json").read_text())
    facts["architecture"]["backbone_options"] = stored
    (tmp_path / "model.json").write_text(json.dumps(facts))

    loaded = load_model(tmp_path)

    assert loaded.architecture["backbone_options"] == own[name] | stored
