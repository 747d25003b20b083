"""From when on an image is unlike those a network was validated on."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from dualseg.checkpoints.json_files import read_json
from dualseg.core.errors import InputError
from dualseg.evaluation.uncertainty import ImageUncertainty

QUANTILE = "p99"


@dataclass(frozen=True)
class UnlikeLimits:
    """What one image in a hundred of an earlier evaluation exceeds.

    Args:
        entropy: Of the mean entropy of an image.
        feature_shift: Of its feature shift; None where the network has none.
        protocol: Of that evaluation.
    """

    entropy: float
    feature_shift: float | None
    protocol: Mapping[str, Any]

    def is_exceeded_by(self, image: ImageUncertainty) -> bool:
        """By its feature shift; by its entropy where there is no shift to compare."""
        if self.feature_shift is not None and image.feature_shift is not None:
            return image.feature_shift > self.feature_shift
        return image.entropy > self.entropy

    def require_protocol(self, protocol: Mapping[str, Any]) -> None:
        """Raises InputError where images are now given to the network in another way."""
        different = sorted(
            key
            for key in {*protocol, *self.protocol}
            if protocol.get(key) != self.protocol.get(key)
        )
        if different:
            raise InputError(
                f"the limits come from another protocol ({', '.join(different)} differ); evaluate "
                "both times with the same options"
            )


def read_limits(path: Path) -> UnlikeLimits:
    """Reads what `dualseg evaluate --scores uncertainty --json` printed.

    Raises:
        InputError: There is no such file, or it holds no such numbers.
    """
    plain = read_json(path)
    try:
        shift = plain["uncertainty"]["feature_shift"]
        return UnlikeLimits(
            entropy=float(plain["uncertainty"]["entropy"][QUANTILE]),
            feature_shift=None if shift is None else float(shift[QUANTILE]),
            protocol=dict(plain["protocol"]),
        )
    except (KeyError, TypeError, ValueError):
        raise InputError(
            f"{path} says nothing of uncertainty; make it on validation images with "
            "dualseg evaluate MODEL --scores uncertainty --json > FILE"
        ) from None
