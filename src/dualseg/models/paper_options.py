"""Backbone options that the paper of a network chooses; each is taken where it is not given."""

from collections.abc import Mapping
from typing import Any

from dualseg.models.backbones.create import family_of
from dualseg.models.backbones.densenet import densenet_plan

# What a backbone is by itself, without a paper's choice.
PLAIN: dict[str, Any] = {
    "pools": "plain",
    "depth": None,
    "stem": "standard",
    "compression": True,
    "latter_pooling": True,
    "dropout": 0.0,
}


def with_paper_options(
    name: str, variant: str | None, backbone: str, given: Mapping[str, Any] | None
) -> dict[str, Any]:
    """The options given, and the paper's for the others.

    Args:
        name: Of the network.
        variant: Its `head_variant`.
        backbone: Name of the backbone; options it does not have are left out.
        given: By name.
    """
    return {**_paper_options(name, variant, backbone), **(given or {})}


def as_stored(architecture: Mapping[str, Any]) -> Mapping[str, Any]:
    """The architecture of a file, its backbone options as they were when it was written.

    A file names every option its paper chooses. An older one may name only those that were given
    in place of all the others, which then were the backbone's own.
    """
    name, backbone = architecture.get("name"), architecture.get("backbone")
    if not isinstance(name, str) or not isinstance(backbone, str):
        return architecture
    stored = architecture.get("backbone_options") or {}
    choices = _paper_options(name, architecture.get("head_variant"), backbone)
    unnamed = {option: PLAIN[option] for option in choices if option not in stored}
    return {**architecture, "backbone_options": {**stored, **unnamed}} if unnamed else architecture


def _paper_options(name: str, variant: str | None, backbone: str) -> dict[str, Any]:
    if name == "deeplabv1" and backbone == "vgg16":
        return {"pools": "large_fov"}
    if name == "pspnet" and variant == "smp" and "depth" in family_of(backbone).options:
        return {"depth": 3}
    plan = densenet_plan(backbone) if name == "densenet_fusion" else None
    if plan is not None and not plan.is_classic:
        return {"stem": "deep", "compression": False, "latter_pooling": False, "dropout": 0.2}
    return {}
