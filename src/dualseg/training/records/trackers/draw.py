"""What a validated network is shown as, beside its numbers."""

from functools import partial

from torch import nn

from dualseg.config import TrackingSettings
from dualseg.core.facts import ModelFacts
from dualseg.data.dataset import SegmentationDataset
from dualseg.inference.strategies import Precision
from dualseg.training.records.trackers.pictures import show_samples, show_weights
from dualseg.training.records.trackers.trackers import Trackers


def draw_network(
    network: nn.Module,
    step: int,
    *,
    trackers: Trackers,
    settings: TrackingSettings,
    dataset: SegmentationDataset,
    facts: ModelFacts,
    precision: Precision,
) -> None:
    """Shows the trackers samples, super-resolved images and, if asked, every weight's histogram.

    Args:
        network: As it was validated.
        step: After which.
        trackers: Who is shown it.
        settings: How much.
        dataset: The validation split.
        facts: How the input is prepared.
        precision: As in the validation.
    """
    if settings.pictures:
        show_samples(
            network,
            dataset,
            facts=facts,
            count=settings.pictures,
            precision=precision,
            show=partial(trackers.picture, step=step),
        )
    if settings.histograms:
        show_weights(network, partial(trackers.histogram, step=step))
