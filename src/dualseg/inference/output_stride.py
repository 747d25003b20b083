"""The same weights at another output stride: trained at 16, asked at 8."""

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from torch import nn

from dualseg.core.errors import InputError
from dualseg.core.facts import ModelFacts
from dualseg.models.catalog import create_model
from dualseg.models.segmentation import SegmentationModel


def with_output_stride(
    model: SegmentationModel, facts: ModelFacts, output_stride: int
) -> SegmentationModel:
    """Builds a network again at another output stride and hands the weights over.

    Dilation takes the place of the strides that are left out, and atrous rates grow in proportion.
    With the dilation rule "contract" every filter then looks at the same pixels of the image as
    before; with the other rules those of a stage's first block do not.

    Args:
        model: A pruned network; it is left as it is.
        facts: Its facts, with the architecture it was built from.
        output_stride: The new one; the network itself is handed back where it has it already.

    Returns:
        A network in evaluation mode where `model` is, with `facts` of its own.

    Raises:
        InputError: This network cannot have that output stride.

    Source: Chen et al. 2017, arXiv:1706.05587, section 4.1 (train at 16, evaluate at 8).
    """
    before = facts.architecture.get("output_stride")
    if before == output_stride:
        return model
    if not isinstance(before, int):
        raise InputError("the facts name no output stride, so the network cannot be built anew")
    if facts.architecture.get("neck"):
        raise InputError(
            f"a network with a {facts.architecture['neck']} neck cannot change its output stride: "
            f"the neck was trained on features of stride {before}"
        )
    if "dilations" in (facts.architecture.get("backbone_options") or {}):
        raise InputError(
            "the dilations of this network's backbone are listed one by one, so its output stride "
            f"stays {before}"
        )
    architecture = _at_stride(facts.architecture, before, output_stride)
    rebuilt = create_model(**{**architecture, "pretrained": False, "auxiliary": False}).prune()
    _hand_over(model, rebuilt, before, output_stride)
    device = next((p.device for p in model.parameters()), None)
    rebuilt.facts = replace(facts, architecture=rebuilt.architecture)
    return rebuilt.to(device).eval()


def _at_stride(architecture: Mapping[str, Any], before: int, after: int) -> dict[str, Any]:
    rates = architecture.get("atrous_rates")
    if rates and any(rate * before % after for rate in rates):
        raise InputError(
            f"atrous rates {', '.join(map(str, rates))} at output stride {before} have no whole "
            f"numbers in their place at {after}; leave the output stride at {before}"
        )
    scaled = [rate * before // after for rate in rates] if rates else None
    return {**architecture, "output_stride": after, "atrous_rates": scaled}


def _hand_over(model: nn.Module, rebuilt: nn.Module, before: int, after: int) -> None:
    old, new = model.state_dict(), rebuilt.state_dict()
    if {n: w.shape for n, w in old.items()} != {n: w.shape for n, w in new.items()}:
        raise InputError(
            f"this network has other weights at output stride {after} than at {before}, where it "
            "was trained; leave the output stride out"
        )
    rebuilt.load_state_dict(old)
