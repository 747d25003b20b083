"""Our side: a network rewritten for one size, as `dualseg export` would write it, in OpenVINO."""

from collections.abc import Sequence
from dataclasses import replace
from typing import Any, NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray
from torch import nn

from dualseg.core.facts import ModelFacts, default_labels
from dualseg.core.geometry import Size, scaled_size
from dualseg.export.exported import Entries, Exported
from dualseg.export.int8 import quantized
from dualseg.export.note import ExportNote
from dualseg.export.openvino_graphs import joined_models, openvino_of
from dualseg.export.pieces import Preprocessing, exported_network, resizes_last
from dualseg.export.rewrites.measure import bf16_is_native
from dualseg.export.rewrites.optimize import Step, optimize
from dualseg.export.sessions import openvino_session
from dualseg.export.tracing import example
from dualseg.models.segmentation import SegmentationModel


class Ours(NamedTuple):
    """An exported network, kept in memory, and the rewrites that were tried."""

    exported: Exported
    steps: tuple[Step, ...]


def facts_for(model: SegmentationModel, num_classes: int, input_scale: float = 1.0) -> ModelFacts:
    """For a network that was never trained."""
    return ModelFacts(model.architecture, default_labels(num_classes), input_scale=input_scale)


def export(
    model: nn.Module,
    facts: ModelFacts,
    size: Size,
    *,
    measure: bool = True,
    calibration: Sequence[NDArray[np.float32]] = (),
) -> Ours:
    """For images of one size, one at a time; bf16 where the processor has it.

    Args:
        model: Left as it is.
        facts: Of it.
        size: (height, width) of the images.
        measure: Whether forms of layers are timed against each other, or only work removed.
        calibration: Inputs of the network; given, it computes in int8 where it can.
    """
    input_size = scaled_size(size, facts.input_scale)
    done = optimize(model, size=input_size, runtime="openvino", measure=measure, rounds=3)
    assert isinstance(done.model, SegmentationModel)
    bands = facts.images.num_channels
    network = openvino_of(
        exported_network(done.model, facts, size),
        {"network_input": example(bands, input_size)},
        ["logits"],
        fixed=input_size,
    )
    network.reshape([1, bands, *input_size])
    if calibration:
        network = quantized(network, calibration, "network_input", per_channel=True)
    pixels = example(bands, size, dtype=torch.uint8)
    before = openvino_of(Preprocessing(facts), {"images": pixels}, ["network_input"], fixed=size)
    before.reshape([1, bands, *size])
    note = ExportNote(
        precision="bf16" if bf16_is_native() else "fp32",  # of what int8 leaves over, too
        size=size,
        final_logits=not resizes_last(model, facts, size),
        has_label_map=False,
        parity={},
    )
    return Ours(_opened(before, network, facts, note), done.steps)


def _opened(before: Any, network: Any, facts: ModelFacts, note: ExportNote) -> Exported:
    halves = note.final_logits
    alone = openvino_session(network.clone(), note.precision, half_outputs=halves)
    joined = joined_models(before, network, None)
    whole = openvino_session(joined, note.precision, half_outputs=halves)
    return Exported(Entries(lambda: whole, lambda: alone), facts, note, runtime="openvino")


def network_alone(exported: Exported, facts: ModelFacts, size: Size) -> Any:
    """The network's session on noise, without what comes before and after it."""
    session = exported.entries.network_input()
    shape = (1, facts.images.num_channels, *scaled_size(size, facts.input_scale))
    inputs = torch.randn(shape, generator=torch.Generator().manual_seed(0)).numpy()
    return lambda: session(inputs)


def kept(steps: Sequence[Step]) -> str:
    """The measured rewrites that stayed, for the table."""
    found = [step for step in steps if step.gain is not None and step.is_kept]
    return "; ".join(f"{s.what} at {len(s.where)} ({s.gain:.2f}x)" for s in found) or "none"


def without_scale(facts: ModelFacts) -> ModelFacts:
    """The same for images that are not shrunk."""
    return replace(facts, input_scale=1.0)
