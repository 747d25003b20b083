"""Pyramid pooling fused before it is enlarged."""

from collections.abc import Sequence

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from dualseg.export.rewrites.copying import replace_module, shared_copy
from dualseg.export.rewrites.grids import enlargement
from dualseg.export.rewrites.pooling import GridPSPHead
from dualseg.models.heads.head import HeadOutput
from dualseg.models.heads.psp import PSPHead


def fuse_before_enlarging(model: nn.Module) -> nn.Module:
    """PSPNet's fusing convolution applied to the few cells of each level, not to enlarged maps.

    The levels hold 50 different vectors in all; enlarged, they are half of what the convolution
    reads. Enlargement and convolution are both linear and act on different axes, so each tap's
    weights meet the cells first and the result is enlarged and shifted.

    Args:
        model: Left as it is; all weights are shared.
    """
    rewritten = shared_copy(model)
    for name, module in list(rewritten.named_modules()):
        if isinstance(module, PSPHead):
            replace_module(rewritten, name, PooledContextHead(module))
    return rewritten


class PooledContextHead(GridPSPHead):
    """A `PSPHead` that never enlarges its levels.

    Args:
        head: Its layers are used, not copied.

    Shape: as the head's.
    """

    def forward(self, features: Sequence[Tensor]) -> HeadOutput:
        feature = features[self.index]
        levels = [level(pool(feature)) for pool, level in zip(self.pools, self.levels, strict=True)]
        convolution, after = self.fuse[0], self.fuse[1:]
        assert isinstance(convolution, nn.Conv2d)
        own, padding = feature.shape[1], convolution.padding
        weight, bias = convolution.weight, convolution.bias
        fused = F.conv2d(feature, weight[:, :own], bias, padding=padding)  # type: ignore[arg-type]
        context = convolved_enlargements(
            levels, weight[:, own:], (fused.shape[2], fused.shape[3]), self.align_corners
        )
        return HeadOutput(after(fused + context))


def convolved_enlargements(
    levels: Sequence[Tensor], weight: Tensor, size: tuple[int, int], align_corners: bool
) -> Tensor:
    """What a zero-padded convolution gives on the levels, enlarged and side by side.

    With E the matrix that enlarges a side and E_a the same shifted by tap a, the result is the sum
    over levels and taps of E_a (W_ab level) E_b^T.

    Args:
        levels: (B, C_i, n_i, m_i) each.
        weight: (O, sum of C_i, k, k), k odd.
        size: (h, w) of the enlarged maps.
        align_corners: Of the enlargement.

    Returns:
        (B, O, h, w)
    """
    taps = weight.shape[2]
    parts, columns = [], []
    weights = weight.split([level.shape[1] for level in levels], dim=1)
    for level, own in zip(levels, weights, strict=True):
        cells, across = level.shape[2:]
        by_tap = own.permute(2, 3, 0, 1).flatten(0, 2)[..., None, None]  # (k k O, C, 1, 1)
        products = F.conv2d(level, by_tap).unflatten(1, (taps, taps, -1))  # (B, k, k, O, n, m)
        products = products.permute(0, 3, 1, 4, 2, 5).flatten(4, 5).flatten(2, 3)
        down = _shifted(enlargement(cells, size[0], level, align_corners=align_corners), taps)
        parts.append(down @ products)  # (B, O, h, k m)
        columns.append(
            _shifted(enlargement(across, size[1], level, align_corners=align_corners), taps)
        )
    return torch.cat(parts, dim=3) @ torch.cat(columns, dim=1).mT


def _shifted(matrix: Tensor, taps: int) -> Tensor:
    """(size, n) -> (size, taps * n): what each tap of a zero-padded window reads."""
    size, margin = matrix.shape[0], taps // 2
    padded = F.pad(matrix, (0, 0, margin, margin))
    return torch.cat([padded[tap : tap + size] for tap in range(taps)], dim=1)
