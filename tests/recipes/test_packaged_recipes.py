"""Every packaged recipe can be read, names its source, and builds the network it speaks of."""

import re
from importlib import resources
from types import SimpleNamespace

import pytest
import torch

from dualseg.checkpoints.importers import ccnet, zhang
from dualseg.config import DSRL_PRESETS, DsrlSettings, list_recipes, load_recipe
from dualseg.core.errors import InputError
from dualseg.core.image_spec import ImageSpec
from dualseg.data.catalog import list_datasets
from dualseg.training.network import start_network
from dualseg.training.optimization.schedules import lr_factor_of
from reference.originals import Original

FIELDS = ("Command", "Source", "Published", "Here")
CLASSES = SimpleNamespace(
    train=SimpleNamespace(labels=SimpleNamespace(num_classes=19), images=ImageSpec())
)
OUR_OWN = ("camvid_dsrl", "default", "quickstart")
CHOICES = {
    "stem",
    "first_block",
    "multi_grid",
    "backbone_options",
    "align_corners",
    "auxiliary_channels",
    "auxiliary_activation",
}
HEAD_DEFAULTS = {"recurrence": 2, "lateral": False}


def header(name):
    text = (resources.files("dualseg.recipes") / f"{name}.yaml").read_text()
    return "\n".join(line[1:] for line in text.splitlines() if line.startswith("#"))


def build(name):
    recipe = load_recipe(name, overrides=["model.pretrained=false"])
    with torch.device("meta"):  # shapes only: the largest of them would take seconds
        return start_network(recipe, CLASSES)


@pytest.mark.parametrize("name", list_recipes())
def test_a_recipe_can_be_read_and_its_data_set_exists(name):
    assert load_recipe(name).data.name in list_datasets()


@pytest.mark.parametrize("name", [name for name in list_recipes() if name not in OUR_OWN])
def test_a_recipe_says_where_it_comes_from_and_what_it_gave(name):
    fields = re.findall(r"^ (\w+): ", header(name), flags=re.MULTILINE)

    assert [field for field in FIELDS if field not in fields] == []
    assert f"dualseg train {name} --data DIR" in " ".join(header(name).split())


@pytest.mark.parametrize("name", ["_voc_vainf", "_cityscapes_dsrl"])
def test_a_base_is_not_offered_as_a_recipe(name):
    assert name not in list_recipes()


@pytest.mark.parametrize("name", list_recipes())
def test_a_recipe_builds_its_network(name):
    assert any(parameter.requires_grad for parameter in build(name).parameters())


@pytest.mark.parametrize("name", list_recipes())
def test_a_recipe_with_a_preset_keeps_the_presets_choices(name):
    dsrl = load_recipe(name).dsrl
    of_the_preset = DsrlSettings(preset=dsrl.preset)

    for key in DSRL_PRESETS[dsrl.preset]:
        assert getattr(dsrl, key) == getattr(of_the_preset, key)


@pytest.mark.parametrize(
    ("name", "multipliers"),
    [
        ("voc_deeplabv3plus_nesterov", {"head": 10.0, "predictor": 10.0}),
        ("cityscapes_dootmaan", {"head": 10.0, "predictor": 10.0}),
        ("voc_deeplabv3plus_resnet101", {"backbone": 0.1}),
    ],
)
def test_heads_learn_ten_times_as_fast_as_the_backbone_where_the_source_has_them_so(
    name, multipliers
):
    assert load_recipe(name).training.lr_multipliers == multipliers


@pytest.mark.parametrize("stage", [1, 2, 3])
def test_sanje2vs_rate_falls_from_six_thousandths_to_half_of_one(stage):
    training = load_recipe(f"cityscapes_sanje2v_stage{stage}").training

    last = lr_factor_of(training, 99_999, max_steps=100_000)

    assert training.lr * last == pytest.approx(0.0005, rel=1e-3)


def dilations(stage):
    return [block.conv2.dilation[0] for block in stage]


@pytest.mark.parametrize(
    ("name", "layer3", "layer4"),
    [
        ("cityscapes_danet_resnet101", [1] + 22 * [2], [4, 8, 16]),
        ("voc_devils_phase1", 23 * [1], [2, 4, 8]),
        ("voc_devils_phase2", 23 * [2], [4, 8, 16]),
        ("cityscapes_ccnet_resnet101", 23 * [2], [4, 4, 4]),
    ],
)
def test_a_resnet_is_dilated_as_in_the_source_of_its_recipe(name, layer3, layer4):
    body = build(name).backbone.body

    assert dilations(body.layer3) == layer3
    assert dilations(body.layer4) == layer4


@pytest.mark.parametrize(
    ("name", "parameters"),
    [("camvid_dense30k36", 2_992_807), ("camvid_dense30k36_stem", 5_761_235)],
)
def test_a_densenet_recipe_builds_its_own_row_with_the_sources_dropout(name, parameters):
    network = build(name)

    assert sum(p.numel() for p in network.parameters()) == parameters
    assert network.backbone.dropout.p == 0.2


@pytest.mark.parametrize(
    ("name", "importer", "arch"),
    [
        ("ade20k_encnet_jpu_resnet50", zhang, "encnet_resnet50_jpu"),
        ("pascal_context_encnet_jpu_resnet50", zhang, "encnet_resnet50_jpu"),
        ("cityscapes_danet_resnet101", zhang, "danet_resnet101_multigrid"),
        ("cityscapes_ccnet_resnet101", ccnet, "resnet101_r2"),
    ],
)
def test_a_recipe_builds_the_network_of_its_sources_published_weights(name, importer, arch):
    published = Original(importer, arch).translate().architecture
    ours = build(name).architecture

    for key in CHOICES & published.keys():
        assert ours[key] == published[key], key
    assert HEAD_DEFAULTS | ours["head_options"] == HEAD_DEFAULTS | published["head_options"]


def test_bisenet_has_the_gate_and_the_widths_of_its_authors():
    network = build("cityscapes_bisenet_resnet18")
    squeeze, _, excite = network.head.fusion.gate

    assert (squeeze.out_channels, excite.out_channels) == (256, 256)
    assert network.head.out_channels == 64
    assert [head.head.out_channels for head in network.auxiliary_heads] == [256, 256]
    assert (network.head.upsampling, network.head.align_corners) == ("bilinear", True)


def test_a_recipe_begins_with_the_keys_of_its_base(tmp_path):
    (tmp_path / "first.yaml").write_text("seed: 3\ntraining: {lr: 0.5, max_steps: 7}\n")
    (tmp_path / "second.yaml").write_text("base: first.yaml\ntraining: {lr: 0.25}\n")

    recipe = load_recipe(tmp_path / "second.yaml")

    assert (recipe.seed, recipe.training.lr, recipe.training.max_steps) == (3, 0.25, 7)


def test_a_base_may_be_a_packaged_recipe(tmp_path):
    (tmp_path / "mine.yaml").write_text("base: quickstart\nseed: 9\n")

    recipe = load_recipe(tmp_path / "mine.yaml")

    assert recipe.seed == 9
    assert recipe.data == load_recipe("quickstart").data


def test_a_circle_of_bases_is_refused(tmp_path):
    (tmp_path / "a.yaml").write_text("base: b.yaml\n")
    (tmp_path / "b.yaml").write_text("base: a.yaml\n")

    with pytest.raises(InputError, match=r"a\.yaml is its own base, by way of b\.yaml"):
        load_recipe(tmp_path / "a.yaml")


def test_a_missing_base_is_named(tmp_path):
    (tmp_path / "mine.yaml").write_text("base: nowhere.yaml\n")

    with pytest.raises(InputError, match=r"nowhere\.yaml"):
        load_recipe(tmp_path / "mine.yaml")
