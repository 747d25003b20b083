"""A validation that many processes share: each image is scored once, the counts are added."""

import time
from collections.abc import Callable
from contextlib import suppress

import torch
from torch import nn

from dualseg.core.facts import ModelFacts
from dualseg.core.processes import Processes
from dualseg.data.dataset import SegmentationDataset
from dualseg.evaluation.evaluate import Evaluation, evaluation_mode, evaluation_of, scored_dataset
from dualseg.evaluation.tally import Tally, merge_tallies, tally_images
from dualseg.inference.protocol import Protocol, strategy
from dualseg.inference.strategies import Precision


def evaluate_together(
    model: nn.Module,
    dataset: SegmentationDataset,
    processes: Processes,
    *,
    facts: ModelFacts,
    device: torch.device,
    precision: Precision,
    progress: Callable[[int, int], object],
    stopped: type[Exception],
) -> Evaluation:
    """The evaluation of the whole data set, the same in every process.

    Args:
        model: The same weights and statistics in every process.
        dataset: The whole; each process scores its share, however small.
        processes: Who shares it.
        facts, device, precision: As `evaluate`.
        progress: Called for this process's share.
        stopped: What `progress` raises when a signal came; then every process raises it, so that
            none waits for the others' counts.

    Raises:
        InputError: As `evaluate`.
    """
    start = time.perf_counter()
    protocol = Protocol()
    scored = scored_dataset(dataset, facts, protocol)
    model.to(device)
    tally: Tally | None = None
    with evaluation_mode(model), suppress(stopped):  # told below, when the others are done too
        tally = tally_images(
            strategy(model, facts, protocol, precision=precision),
            scored,
            rank=processes.rank,
            world=processes.world,
            progress=progress,
        )
    tallies = [item for item in processes.gather(tally) if item is not None]
    if len(tallies) < processes.world:
        raise stopped
    return evaluation_of(
        merge_tallies(tallies),
        protocol=protocol.to_dict(facts, precision),
        seconds=time.perf_counter() - start,
    )
