"""Adaptive pooling in a form every exporter takes."""

from collections.abc import Sequence

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from dualseg.export.rewrites.copying import replace_module, shared_copy
from dualseg.export.rewrites.grids import GridPool
from dualseg.models.heads.head import HeadOutput
from dualseg.models.heads.psp import PSPHead


def make_pooling_exportable(model: nn.Module) -> nn.Module:
    """Adaptive average pooling replaced by products with matrices of ones and zeros.

    Takes fixed and dynamic sizes: the matrices are made from the map's size.

    Args:
        model: Left as it is; all weights are shared.
    """
    exportable = shared_copy(model)
    for name, module in list(exportable.named_modules()):
        if isinstance(module, PSPHead):
            replace_module(exportable, name, GridPSPHead(module))
        elif isinstance(module, nn.AdaptiveAvgPool2d) and _cells(module) is not None:
            replace_module(exportable, name, GridPool(_cells(module)))  # type: ignore[arg-type]
    return exportable


def _cells(pool: nn.AdaptiveAvgPool2d) -> tuple[int, int] | None:
    """None where a side is left as it is."""
    size = pool.output_size
    down, across = size if isinstance(size, tuple) else (size, size)
    return None if down is None or across is None else (down, across)


class GridPSPHead(nn.Module):
    """A `PSPHead` that pools by `GridPool`.

    Args:
        head: Its levels and its fusing convolution are used, not copied.

    Shape: as the head's.
    """

    def __init__(self, head: PSPHead):
        super().__init__()
        self.index = head.index
        self.out_channels, self.out_stride = head.out_channels, head.out_stride
        self.dropout, self.side_info = head.dropout, head.side_info
        self.align_corners = head.align_corners
        self.pools = nn.ModuleList(GridPool((size, size)) for size in head.pool_sizes)
        self.levels = head.levels
        self.fuse = head.fuse

    def forward(self, features: Sequence[Tensor]) -> HeadOutput:
        feature = features[self.index]
        levels = [
            F.interpolate(
                level(pool(feature)),
                size=feature.shape[-2:],
                mode="bilinear",
                align_corners=self.align_corners,
            )
            for pool, level in zip(self.pools, self.levels, strict=True)
        ]
        return HeadOutput(self.fuse(torch.cat([feature, *levels], dim=1)))
