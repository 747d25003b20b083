"""What recipe and data set say of the images, brought together."""

from collections.abc import Callable
from dataclasses import asdict
from typing import Any

from dualseg.config import DataSettings
from dualseg.core.errors import InputError
from dualseg.core.image_spec import (
    IMAGENET_MEAN,
    IMAGENET_STD,
    ImageSpec,
    default_mean_std,
)
from dualseg.data.dataset import (
    PLAIN,
    SegmentationDataset,
    images_of,
    with_images,
)

DECLARED_TOGETHER = (("channels",), ("min_value", "max_value"), ("max_pixels",))


def fill_in_mean_std(
    settings: DataSettings, images: ImageSpec, report: Callable[[str], None]
) -> DataSettings:
    """One mean and one standard deviation for each band.

    Where the recipe leaves ImageNet's three numbers and the images have another number of bands,
    each band gets 0.5 and 0.25, and `report` hears of it.

    Raises:
        InputError: The recipe gives other numbers than one a band.
    """
    bands = images.num_channels
    if len(settings.mean) == len(settings.std) == bands:
        return settings
    if settings.mean != IMAGENET_MEAN or settings.std != IMAGENET_STD:
        raise InputError(
            f"data.mean has {len(settings.mean)} and data.std {len(settings.std)} numbers, but the "
            f"images have {bands} bands; give one of each a band (dualseg data stats measures them)"
        )
    mean, std = default_mean_std(bands)
    report(
        f"note: images of {bands} band{'s' * (bands > 1)}; data.mean is {mean[0]:g} and data.std "
        f"{std[0]:g} in each. dualseg data stats measures better ones"
    )
    return settings.model_copy(update={"mean": mean, "std": std})


def require_same_bands(model: ImageSpec, data: ImageSpec, *, origin: str) -> None:
    """A network can only be fed as many bands as it was trained on.

    Raises:
        InputError: The numbers differ.
    """
    if model.num_channels != data.num_channels:
        raise InputError(
            f"{origin} has images of {data.num_channels} bands, but the network was trained on "
            f"{model.num_channels}; write channels: in its dataset.yaml, with the network's number "
            "of bands or a list of them"
        )


def for_network(dataset: SegmentationDataset, images: ImageSpec) -> SegmentationDataset:
    """The data set as a trained network takes it: what it declares of its images counts, and for
    the rest they are read as those that the network was trained on.

    Raises:
        InputError: It has another number of bands than the network takes.
    """
    own = images_of(dataset)
    read = images.changed(_declared(own)) if hasattr(dataset, "reading") else own
    require_same_bands(images, read, origin=f"the split {dataset.split!r}")
    return with_images(dataset, read)


def _declared(own: ImageSpec) -> dict[str, Any]:
    """The fields that are not those of ordinary pictures."""
    given, plain = asdict(own), asdict(PLAIN)
    return {
        name: given[name]
        for together in DECLARED_TOGETHER
        if any(given[name] != plain[name] for name in together)
        for name in together
    }
