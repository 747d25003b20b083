"""Makes golden files of segmentation_models_pytorch's networks.

    pip install segmentation-models-pytorch==0.6.0
    python tests/reference/make_smp_golden.py tests/reference/golden

The library refuses images whose sides are no multiples of its output stride, so that the odd sizes
here are those whose maps have odd sides.
"""

import sys
from pathlib import Path
from typing import Any

import segmentation_models_pytorch as smp
import torch
from torch import nn

sys.path.insert(0, str(Path(__file__).parents[1]))

from reference.golden import Size, save_golden
from reference.original_weights import original_tensors
from reference.random_weights import random_image

NUM_CLASSES = 7
SIZES: tuple[Size, ...] = ((64, 320), (72, 312))  # maps of 8x40, 9x39; a rate of 36 fits in
SIZES_16: tuple[Size, ...] = ((64, 608), (80, 592))  # at output stride 16 too
# Golden file -> class and arguments.
NETWORKS: dict[str, tuple[str, dict[str, Any]]] = {
    "deeplabv3_resnet18_os8": ("DeepLabV3", {"encoder_name": "resnet18"}),
    "deeplabv3plus_resnet50_os16": ("DeepLabV3Plus", {"encoder_name": "resnet50"}),
    "deeplabv3plus_resnet18_os8": (
        "DeepLabV3Plus",
        {
            "encoder_name": "resnet18",
            "encoder_output_stride": 8,
            "decoder_channels": 64,
            "decoder_atrous_rates": (6, 12, 18),
        },
    ),
    "deeplabv3_resnet18_os16_timm": (
        "DeepLabV3",
        {"encoder_name": "tu-resnet18", "encoder_output_stride": 16},
    ),
    "pspnet_resnet50": ("PSPNet", {"encoder_name": "resnet50"}),
    "pspnet_resnet34_timm": ("PSPNet", {"encoder_name": "tu-resnet34", "psp_out_channels": 96}),
}


def build(name: str) -> nn.Module:
    kind, options = NETWORKS[name]
    return getattr(smp, kind)(**options, encoder_weights=None, classes=NUM_CLASSES).eval()


@torch.no_grad()
def main(folder: Path) -> None:
    """Writes one golden file for each network."""
    for name, (kind, options) in NETWORKS.items():
        model = build(name)
        shapes = {key: tuple(value.shape) for key, value in model.state_dict().items()}
        model.load_state_dict(original_tensors(shapes))
        sizes = SIZES_16 if "os16" in name else SIZES
        outputs = {size: model(random_image(size)) for size in sizes}
        description = (
            f"segmentation_models_pytorch {smp.__version__}, {kind}, {options}, {NUM_CLASSES} "
            "classes. Made by tests/reference/make_smp_golden.py."
        )
        save_golden(folder / f"smp_{name}.npz", shapes, outputs, description)


if __name__ == "__main__":
    main(Path(sys.argv[1]))
