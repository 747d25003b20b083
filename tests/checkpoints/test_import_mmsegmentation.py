"""mmsegmentation's networks, against answers of the library itself.

`tests/reference/make_mmseg_golden.py` made the golden files and says how. With all of them in a
folder named by DUALSEG_MMSEG_GOLDEN, `pytest -m oracle` on this file compares every architecture.
"""

import json
import os
import re
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch

from dualseg.checkpoints.foreign.checkpoint import ForeignCheckpoint
from dualseg.checkpoints.foreign.read import read_foreign
from dualseg.checkpoints.importers import mmsegmentation
from dualseg.checkpoints.importers.mmseg_archs import base_of
from dualseg.checkpoints.importers.mmseg_backbones import find_backbone
from dualseg.checkpoints.importers.mmseg_layout import read_layout
from dualseg.checkpoints.importers.mmseg_names import config_of, parse_name
from dualseg.checkpoints.importers.python_config import read_python_config
from dualseg.checkpoints.importers.translation import Translation
from dualseg.core.errors import InputError
from dualseg.models.catalog import create_model
from reference.golden import Golden, compare, load_golden
from reference.original_weights import original_tensors
from reference.originals import GOLDEN, all_logits, build
from reference.random_weights import random_image

PUBLISHED: dict[str, tuple[str, int]] = json.loads(
    (Path(__file__).parents[1] / "reference" / "mmseg_published.json").read_text()
)
# Published counts in millions, auxiliary heads included; EncNet's SE classifier is not built here.
PARAMETERS = {
    "fcn_r50-d8": 49.50,
    "pspnet_r50-d8_769x769": 48.98,
    "deeplabv3_r50-d8": 68.11,
    "deeplabv3plus_r50-d8_769x769": 43.59,
    "danet_r50-d8": 49.85,
    "ccnet_r50-d8_769x769": 49.83,
    "bisenetv1_r18-d32": 13.43,
    "fastfcn_r50-d32_jpu_psp": 68.71,
    "fastfcn_r50-d32_jpu_aspp": 87.85,
    "fastfcn_r50-d32_jpu_enc": 55.63,
}
OTHERS = (
    "fcn_r18b-d8_769x769",
    "fcn-d6_r50-d16",
    "pspnet_r50b-d32",
    "deeplabv3plus_r18-d8",
    "encnet_r50s-d8",
    "bisenetv1_r50-d32",
    "mobilenet-v2-d8_deeplabv3plus",
)
ALL_FOLDER = os.environ.get("DUALSEG_MMSEG_GOLDEN")
ALL = sorted(Path(ALL_FOLDER).glob("mmseg_*.npz")) if ALL_FOLDER else []


def golden(name: str) -> Golden:
    return load_golden(GOLDEN / f"mmseg_{name}.npz")


def config_text(made: Golden) -> str:
    """The network's config as the library had it: the last line of the description."""
    return made.description.rpartition("\n")[2]


def checkpoint(made: Golden, *, file: str = "weights.pth", **meta: Any) -> ForeignCheckpoint:
    tensors = original_tensors(made.shapes)
    return ForeignCheckpoint(Path(file), "0" * 64, "torch zip", tensors, meta={"meta": meta})


def without_numbers(made: Golden, **meta: Any) -> ForeignCheckpoint:
    """A checkpoint for what names and shapes alone decide."""
    tensors = {name: torch.empty(shape, device="meta") for name, shape in made.shapes.items()}
    return ForeignCheckpoint(Path("x.pth"), "0" * 64, "torch zip", tensors, meta={"meta": meta})


def translate(file: ForeignCheckpoint, arch: str | None = None) -> Translation:
    known = mmsegmentation.recognise(file.tensors)
    assert known in mmsegmentation.ARCHITECTURES
    return mmsegmentation.translate(file, arch or known)


def assert_same_logits(made: Golden, translation: Translation, **changes: Any) -> None:
    architecture = {**translation.architecture, **changes}
    model = build(Translation(architecture, translation.weights, "a change", licence=""))
    for size, sample in made.outputs.items():
        compare(all_logits(model, random_image(size)), sample)


@pytest.mark.parametrize("name", [*PARAMETERS, *OTHERS])
def test_the_logits_are_mmsegmentations(name: str):
    made = golden(name)
    assert_same_logits(made, translate(checkpoint(made, config=config_text(made))))


@pytest.mark.oracle
@pytest.mark.parametrize("path", ALL, ids=lambda path: path.stem)
def test_the_logits_of_every_architecture_are_mmsegmentations(path: Path):
    made = load_golden(path)
    assert_same_logits(made, translate(checkpoint(made, config=config_text(made))))


@pytest.mark.oracle
@pytest.mark.parametrize("path", ALL, ids=lambda path: path.stem)
def test_the_name_of_every_architecture_says_what_its_config_says(path: Path):
    assert_name_and_config_agree(path.stem.removeprefix("mmseg_"), load_golden(path))


@pytest.mark.slow
def test_the_logits_of_a_multi_grid_are_mmsegmentations():
    made = golden("deeplabv3plus_r101-d16-mg124")
    assert_same_logits(made, translate(checkpoint(made, config=config_text(made))))


@pytest.mark.parametrize("name", PARAMETERS)
def test_parameters_are_as_many_as_published(name: str):
    made = golden(name)
    file = without_numbers(made, config=config_text(made))
    with torch.device("meta"):
        network = create_model(**translate(file).architecture)
    classifier_of_classes = made.shapes.get("decode_head.se_layer.weight", (0, 0))
    dropped = (classifier_of_classes[1] + 1) * classifier_of_classes[0]
    count = sum(p.numel() for p in network.parameters()) + dropped
    assert f"; {count} parameters;" in made.description
    assert count / 1e6 == pytest.approx(PARAMETERS[name], abs=0.005)


@pytest.mark.parametrize(
    ("name", "change"),
    [
        ("fcn_r18b-d8_769x769", {"align_corners": False}),
        ("fcn_r18b-d8_769x769", {"backbone_options": {}}),
        ("deeplabv3plus_r18-d8", {"align_corners": True}),
        ("deeplabv3plus_r18-d8", {"atrous_rates": [12, 24, 35]}),
        ("mobilenet-v2-d8_deeplabv3plus", {"backbone_options": {}}),
        ("fcn-d6_r50-d16", {"head_options": {"channels": 512}}),
    ],
    ids=str,
)
def test_same_tensors_in_another_network_give_other_logits(name: str, change: dict[str, Any]):
    made = golden(name)
    translation = translate(checkpoint(made, config=config_text(made)))
    with pytest.raises(AssertionError, match="logits differ"):
        assert_same_logits(made, translation, **change)


def assert_name_and_config_agree(name: str, made: Golden) -> None:
    parsed = parse_name(name)
    tensors = without_numbers(made).tensors
    backbone = find_backbone(tensors)
    assert parsed is not None
    assert backbone is not None
    by_name = read_layout(config_of(parsed), backbone.blocks, origin="name")
    config = read_python_config(config_text(made))
    assert by_name.differences(read_layout(config, backbone.blocks, origin="config")) == ""
    assert mmsegmentation.recognise(tensors) == base_of(parsed)


@pytest.mark.parametrize(
    "name", ["fcn-d6_r50-d16", "pspnet_r50b-d32", "bisenetv1_r18-d32", "fcn_r18b-d8_769x769"]
)
def test_a_name_says_what_the_config_says(name: str):
    assert_name_and_config_agree(name, golden(name))


def test_the_name_of_every_published_file_is_understood():
    assert len(PUBLISHED) == 254
    for file, (architecture, _) in PUBLISHED.items():
        of_file, of_config = parse_name(file), parse_name(architecture)
        assert of_file is not None, file
        assert of_config is not None, architecture
        assert base_of(of_file) == base_of(of_config)
        assert config_of(of_file)["model"] == config_of(of_config)["model"], file
        assert of_file.crop_size is not None, file


def test_every_published_network_is_an_arch():
    for architecture, _ in PUBLISHED.values():
        named = parse_name(architecture)
        assert named is not None
        assert base_of(named) in mmsegmentation.ARCHITECTURES
        plain = re.sub(r"(r\d+)[bs]", r"\1", architecture)
        plain = re.sub(r"^mobilenet-v2-d8_(\w+)", r"\1_m-v2-d8", plain)
        if architecture != "pspnet_r50b-d32":
            assert plain in mmsegmentation.ARCHITECTURES


def test_a_published_file_without_a_config_is_told_by_its_name():
    made = golden("fcn_r18b-d8_769x769")
    name = "fcn_r18b-d8_769x769_80k_cityscapes_20201226_004430-32d504e5.pth"
    translation = translate(checkpoint(made, file=name))
    assert translation.source.endswith("corners from the name of the file")
    assert translation.training_size == (769, 769)
    assert translation.labels is not None
    assert translation.labels.class_names[0] == "road"
    assert_same_logits(made, translation)


@pytest.mark.parametrize("file", ["best.pth", "fcn_r18-d8.pth", "fcn_r50-d8_512x512_80k.pth"])
def test_a_file_that_does_not_say_its_strides_is_asked_for_them(file: str):
    with pytest.raises(InputError, match=r"with --arch: fcn_r18-d8, fcn_r18-d8_769x769$"):
        translate(replace(without_numbers(golden("fcn_r18b-d8_769x769")), path=Path(file)))


def test_the_arch_says_what_the_file_does_not():
    made = golden("fcn_r18b-d8_769x769")
    translation = translate(checkpoint(made), arch="fcn_r18-d8_769x769")
    assert translation.labels is None
    assert_same_logits(made, translation)


@pytest.mark.parametrize(
    ("arch", "message"),
    [
        ("fcn_r18-d8", "align_corners True and False; leave --arch out"),
        ("fcn_r50-d8", "its tensors are those of fcn_r18"),
        ("pspnet_r18-d8", "its tensors are those of fcn_r18"),
    ],
)
def test_an_arch_that_contradicts_the_file_is_refused(arch: str, message: str):
    made = golden("fcn_r18b-d8_769x769")
    with pytest.raises(InputError, match=message):
        translate(without_numbers(made, config=config_text(made)), arch=arch)


def test_classes_and_colours_of_either_generation_are_carried():
    made = golden("fcn_r18b-d8_769x769")
    names, colors = [f"thing {i}" for i in range(19)], [[i, 2, 3] for i in range(19)]
    text = config_text(made)
    older = translate(without_numbers(made, config=text, CLASSES=names, PALETTE=colors))
    newer = translate(
        without_numbers(made, cfg=text, dataset_meta={"classes": names, "palette": colors})
    )
    for labels in (older.labels, newer.labels):
        assert labels is not None
        assert labels.class_names == tuple(names)
        assert labels.palette[7] == (7, 2, 3)


def test_the_crop_and_the_statistics_of_the_config_are_carried():
    made = golden("fcn_r18b-d8_769x769")
    extra = "\nimg_norm_cfg = dict(mean=[51.0, 102.0, 153.0], std=[25.5, 51, 255], to_rgb=True)"
    text = config_text(made) + extra + "\ncrop_size = (512, 1024)\n"
    translation = translate(without_numbers(made, config=text))
    assert translation.mean == (0.2, 0.4, 0.6)
    assert translation.std == (0.1, 0.2, 1.0)
    assert translation.training_size == (512, 1024)


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        ("'pytorch'", "'caffe'", "style caffe"),
        ("'BN'", "'GN'", "norm layers GN"),
        ("'strides'", "'deep_stem': True, 'strides'", "deep_stem=True"),
        ("'align_corners': True", "'align_corners': x()", "aligns corners"),
        ("'decode_head': {", "'decode_head': [], 'x': {", "no network that can be read"),
        ("'type': 'BN'", "'type': 'BN', 'eps': 0.001", "covered are those with eps 1e-05"),
        ("'type': 'BN'", "'type': 'BN', 'affine': False", "and no other settings"),
        ("'depth': 18", "'depth': 18, 'act_cfg': {'type': 'ReLU6'}", "in its ResNet"),
        ("'num_convs': 2", "'num_convs': 2, 'act_cfg': {'type': 'LeakyReLU'}", "covered is ReLU"),
        ("'num_convs': 1", "'num_convs': 1, 'act_cfg': None", "activation None in its FCNHead"),
        ("model = {", "model = {'neck': {'act_cfg': {'type': 'GELU'}}, ", "GELU"),
    ],
)
def test_a_config_of_a_network_that_is_not_covered(old: str, new: str, message: str):
    made = golden("fcn_r18b-d8_769x769")
    assert old in config_text(made)
    with pytest.raises(InputError, match=message):
        translate(without_numbers(made, config=config_text(made).replace(old, new)))


def test_the_layers_that_are_covered_may_be_written_out():
    made = golden("mobilenet-v2-d8_deeplabv3plus")
    norm = "'type': 'SyncBN', 'eps': 1e-05, 'momentum': 0.01"
    text = config_text(made).replace("'type': 'BN'", norm)
    text = text.replace("'MobileNetV2'", "'MobileNetV2', 'act_cfg': {'type': 'ReLU6'}")
    text = text.replace("'FCNHead'", "'FCNHead', 'act_cfg': {'type': 'ReLU', 'inplace': True}")
    plain = translate(without_numbers(made, config=config_text(made)))
    assert translate(without_numbers(made, config=text)).architecture == plain.architecture


RED_FIRST = "dict(mean=[51.0, 102.0, 153.0], std=[25.5, 51, 255], bgr_to_rgb=True)"
BLUE_FIRST = (
    "dict(mean=[51.0, 102.0, 153.0], std=[25.5, 51, 255])"  # as it is where nothing is said
)


def with_preprocessors(made: Golden, own: str | None, top: str) -> str:
    """The config with a preprocessor in the network and one beside it."""
    text = config_text(made)
    if own is not None:
        text = text.replace("model = {", f"model = {{'data_preprocessor': {own}, ", 1)
    return f"{text}\ndata_preprocessor = {top}\n"


def test_the_preprocessor_inside_the_network_is_the_one_that_counts():
    made = golden("fcn_r18b-d8_769x769")
    other = "dict(mean=[1, 2, 3], std=[4, 5, 6], bgr_to_rgb=True)"
    for text in (
        with_preprocessors(made, RED_FIRST, other),
        with_preprocessors(made, None, RED_FIRST),
    ):
        translation = translate(without_numbers(made, cfg=text))
        assert translation.mean == (0.2, 0.4, 0.6)
        assert translation.std == (0.1, 0.2, 1.0)


@pytest.mark.parametrize(
    ("own", "top", "message"),
    [
        (BLUE_FIRST, RED_FIRST, "blue first"),
        (None, BLUE_FIRST, "blue first"),
        ("dict(bgr_to_rgb=True)", RED_FIRST, "gives no mean and std"),
    ],
)
def test_images_that_are_prepared_in_another_way_are_refused(own: str | None, top: str, message):
    made = golden("fcn_r18b-d8_769x769")
    with pytest.raises(InputError, match=message):
        translate(without_numbers(made, cfg=with_preprocessors(made, own, top)))


@pytest.mark.parametrize(
    ("meta", "message"),
    [
        ({"CLASSES": [["a", i] for i in range(19)]}, "names are texts"),
        ({"PALETTE": [None] * 19}, "holds no colours"),
        ({"PALETTE": [[300, -1, 0]] * 19}, r"the palette holds \(300, -1, 0\)"),
    ],
    ids=["lists as names", "nothing as colours", "colours out of range"],
)
def test_classes_and_colours_that_are_none_are_refused(meta: dict[str, Any], message: str):
    made = golden("fcn_r18b-d8_769x769")
    names = [f"thing {i}" for i in range(19)]
    with pytest.raises(InputError, match=message):
        translate(without_numbers(made, config=config_text(made), **{"CLASSES": names, **meta}))


def test_a_dilated_auxiliary_head_is_named_as_dropped():
    made = golden("fcn-d6_r50-d16")
    translation = translate(without_numbers(made, config=config_text(made)))
    assert translation.dropped["auxiliary_head.conv_seg.bias"].startswith("its dilation is 6")
    assert translation.architecture["auxiliary"] is False


def test_a_training_file_is_read_through_the_safe_reader(tmp_path: Path):
    made = golden("bisenetv1_r18-d32")
    path = tmp_path / "iter_160000.pth"
    tensors = original_tensors(made.shapes)
    meta = {"cfg": config_text(made), "iter": 160000, "dataset_meta": {"classes": ("road",) * 19}}
    torch.save({"meta": meta, "state_dict": tensors, "optimizer": {"lr": 0.01}}, path)
    translation = translate(read_foreign(path))
    assert translation.labels is None  # nineteen times the same name is no class list
    assert_same_logits(made, translation)


def test_other_networks_are_not_recognised():
    tensors = original_tensors(golden("fcn_r18b-d8_769x769").shapes)
    one = torch.zeros(1)
    assert mmsegmentation.recognise({**tensors, "decode_head.gc_block.conv.weight": one}) is None
    assert mmsegmentation.recognise({**tensors, "neck.lateral_convs.0.weight": one}) is None
    assert mmsegmentation.recognise({"backbone.conv1.weight": one}) is None


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("a = dict(b=[1, -2.5], c=(None, True))", {"a": {"b": [1, -2.5], "c": (None, True)}}),
        ("a = {'b': open('x')}\nb = __import__('os')", {"a": {"b": ...}, "b": ...}),
        ("import os\nos.remove('x')", {}),
        ("a = dict(", {}),
        ("a = " + "(" * 10_000, {}),
        ("a = " + "-" * 10_000 + "1", {}),
        ("a = 1\n" * 200_000, {}),
    ],
    ids=["plain", "calls", "statements", "cut off", "parentheses", "signs", "long"],
)
def test_a_config_is_read_and_never_run(text: str, expected: dict[str, Any]):
    assert read_python_config(text) == expected
