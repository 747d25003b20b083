"""What a backbone says about the features it returns."""

from collections.abc import Sequence
from typing import NamedTuple

from dualseg.core.errors import InputError


class FeatureInfo(NamedTuple):
    """One feature map: its channels, and the input size divided by its size."""

    channels: int
    stride: int


def index_of_stride(feature_info: Sequence[FeatureInfo], stride: int, *, wanted_by: str) -> int:
    """Position of the deepest feature with `stride`.

    Raises:
        InputError: No feature has it; the message lists those there are.
    """
    found = [i for i, info in enumerate(feature_info) if info.stride == stride]
    if not found:
        strides = ", ".join(str(info.stride) for info in feature_info)
        raise InputError(
            f"{wanted_by} needs a feature at stride {stride}; this backbone gives strides "
            f"{strides}. Choose another backbone or head{_pyramid_hint(feature_info)}"
        )
    return found[-1]


def _pyramid_hint(feature_info: Sequence[FeatureInfo]) -> str:
    if len({info.stride for info in feature_info}) == 1:
        return ", or neck: pyramid, which makes strides 4, 8, 16 and 32 of this one"
    return ""
