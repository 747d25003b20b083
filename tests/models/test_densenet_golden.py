"""DenseNets and their fusion against the original's own code; see reference/golden/README.md."""

import re
from pathlib import Path
from typing import Any

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor

from dualseg.models.backbones.densenet import DenseNet
from dualseg.models.heads.densenet_fusion import DenseNetFusionHead
from reference.golden import Golden, compare, load_golden
from reference.random_weights import random_image, random_tensors

GOLDEN = Path(__file__).parents[1] / "reference" / "golden" / "networks"
DEEP = {"stem": "deep", "compression": False, "latter_pooling": False}
NETWORKS: dict[str, tuple[dict[str, Any], str]] = {  # file: options of the backbone, variant
    "dense30k36": ({}, "plain"),
    "dense30k12_senet4_did4": (DEEP | {"squeeze_excite": 4}, "did4"),
    "dense30k12_newdid": (DEEP, "newdid"),
    "dense30k12_newdid2_transitionsenet2": (
        DEEP | {"transition": "residual", "transition_squeeze_excite": 2},
        "newdid2",
    ),
    "dense30k12_transitionsenet4": (DEEP | {"transition_squeeze_excite": 4}, "plain"),
    "dense30k12_newdid4": (DEEP, "newdid4"),
    "dense30k12_newdid4_1": (DEEP, "newdid4_1"),
    "dense30k48_newdid6": (DEEP, "newdid6"),
    "dense30k12_newdid6_stride8": (DEEP | {"output_stride": 8}, "newdid6"),
    "dense30k12_newdid6_senet": (DEEP, "newdid6_senet"),
}
LATERALS = ("net_conv", "conv2", "conv1", "conv0")  # coarse to fine
STEM = ("conv1", "conv1_1", "conv1_2")


@pytest.mark.parametrize("name", NETWORKS)
def test_the_network_is_the_originals(name):
    options, variant = NETWORKS[name]
    golden = load(name)
    for size, sample in golden.outputs.items():
        logits = predict(name.partition("_")[0], options, variant, golden, size)
        compare(logits, sample)


@pytest.mark.parametrize(
    ("name", "change", "variant"),
    [
        ("dense30k36", {"latter_pooling": False}, "plain"),
        ("dense30k12_newdid4_1", {"output_stride": 8}, "newdid4_1"),
        ("dense30k12_newdid6_stride8", {"output_stride": 16}, "newdid6"),
    ],
)
def test_the_golden_files_tell_other_networks_apart(name, change, variant):
    golden = load(name)
    size, sample = next(iter(golden.outputs.items()))
    options = NETWORKS[name][0] | change
    logits = predict(name.partition("_")[0], options, variant, golden, size)
    with pytest.raises(AssertionError):
        compare(logits, sample)


def load(name: str) -> Golden:
    return load_golden(GOLDEN / f"tensorpack_{name}.npz")


@torch.no_grad()
def predict(
    backbone: str,
    options: dict[str, Any],
    variant: Any,
    golden: Golden,
    size: tuple[int, int],
) -> Tensor:
    """Our logits with the original's weights: of the finest map, then of the coarser ones."""
    weights = random_tensors(golden.shapes)
    body = DenseNet(backbone, **{"output_stride": 16, **options}).eval()
    head = DenseNetFusionHead(body.feature_info, variant=variant).eval()
    ours = {our_name(name, variant): tensor for name, tensor in weights.items()}
    parts = {part: {} for part in ("body", "head", "classifier")}
    for name, tensor in ours.items():
        part, _, rest = name.partition(".")
        parts[part][rest] = tensor
    load_strictly(body, parts["body"])
    load_strictly(head, parts["head"])
    features, sides = head(body(random_image(size)))
    logits = [
        F.conv2d(maps, parts["classifier"][f"{i}.weight"], parts["classifier"][f"{i}.bias"])
        for i, maps in enumerate((features, *sides))
    ]
    return torch.cat([F.interpolate(m, size, mode="bilinear", align_corners=False) for m in logits])


def load_strictly(module: torch.nn.Module, weights: dict[str, Tensor]) -> None:
    """Dense layers of gates have no spatial size in the original; batches are not counted."""
    wanted = module.state_dict()
    counted = {name for name in wanted if name.endswith("num_batches_tracked")}
    assert set(weights) == set(wanted) - counted
    module.load_state_dict(
        {name: tensor.view_as(wanted[name]) for name, tensor in weights.items()}, strict=False
    )


def our_name(name: str, variant: str) -> str:
    """Of a tensor of the original: `body.`, `head.` or `classifier.` stands before it."""
    name = re.sub(r"\.fc1\.dense\.", ".squeeze.", re.sub(r"\.fc2\.dense\.", ".excite.", name))
    if match := re.fullmatch(r"block(\d+)\.dense(\d+)\.(\w+)\.(.+)", name):
        places = {
            ("bottleneck", "preact"): "norm1",
            ("bottleneck", "conv1"): "conv1",
            ("composite", "preact"): "norm2",
            ("composite", "conv1"): "conv2",
        }
        step, _, rest = match[4].partition(".")
        place = places.get((match[3], step), f"gate.{step}")
        return f"body.blocks.{int(match[1]) - 1}.{int(match[2]) - 1}.{place}.{rest}"
    if match := re.fullmatch(r"trans(\d+)\.(.+)", name):
        return f"body.transitions.{int(match[1]) - 1}.{transition_name(match[2])}"
    first, _, rest = name.partition(".")
    if first == "denseindense":
        return fusion_name(rest, variant)
    if first in STEM:
        return f"body.stem.{STEM.index(first)}.{rest}"
    return {"postnorm": "head.finish.0.", "conv2classnum": "classifier.0."}[first] + rest


def transition_name(name: str) -> str:
    rules = (
        (r"unit(\d)\.preact\.", lambda m: f"branch.{3 * int(m[1]) - 3}."),
        (r"unit(\d)\.conv1\.", lambda m: f"branch.{3 * int(m[1]) - 1}."),
        (r"unit_skip\.preact\.", "shortcut.0."),
        (r"unit_skip\.conv1\.", "shortcut.2."),
        (r"transition_se[12]\.", "4."),  # behind the average, which the third one has not
        (r"transition_se3\.", "3."),
        (r"transition_se\.", "branch.9."),
        (r"preact\.", "0."),
        (r"conv1\.", "2."),
    )
    return first_match(name, rules)


def fusion_name(name: str, variant: str) -> str:
    if variant.startswith("newdid4") or variant.startswith("newdid6"):
        side = {"ds2": "finish", "ds0": "finish_sides.0", "ds1": "finish_sides.1"}
        rules: Any = (
            (r"smooth(\d)\.", lambda m: f"head.fuse.smooth.{int(m[1]) - 1}."),
            (r"(ds\d)\.postnorm\.", lambda m: f"head.{side[m[1]]}.0."),
            (r"ds(\d)\.conv2classnum\.", lambda m: f"classifier.{(int(m[1]) + 1) % 3}."),
            (r"(\w+)_se\.", lambda m: f"head.fuse.lateral.{LATERALS.index(m[1])}.1."),
            (r"(\w*conv\d?)\.", lambda m: f"head.fuse.lateral.{LATERALS.index(m[1])}.0."),
        )
    elif variant.startswith("newdid"):
        place = 2 if variant == "newdid2" else 0
        rules = (
            (r"(\d)\.preact\.", r"head.fuse.squeeze.\1.0."),
            (r"(\d)\.conv\.", r"head.fuse.squeeze.\1.2."),
            (r"(\d)\.se\.", r"head.fuse.squeeze.\1.3."),
            (r"preact(\d)\.", lambda m: f"head.fuse.mix.{int(m[1]) - 1}.0."),
            (r"conv(\d)\.", lambda m: f"head.fuse.mix.{int(m[1]) - 1}.{place}."),
            (r"final_se\.", "head.fuse.gate."),
        )
    else:
        rules = tuple(
            (rf"{kind}(\d)\.", lambda m, place=place: f"head.fuse.squeeze.{int(m[1]) - 1}.{place}.")
            for kind, place in (("preact", 0), ("conv", 2), ("se", 3))
        )
    return first_match(name, rules)


def first_match(name: str, rules: Any) -> str:
    for pattern, ours in rules:
        changed, count = re.subn("^" + pattern, ours, name)
        if count:
            return changed
    raise AssertionError(f"no rule for {name}")
