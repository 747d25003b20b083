"""Averages over a grid and bilinear enlargement as matrix products: any size, any exporter."""

import torch
import torch.nn.functional as F
from torch import Tensor, nn


class GridPool(nn.Module):
    """`adaptive_avg_pool2d` as two products with matrices of ones and zeros.

    ONNX has no adaptive pooling but for cells of equal size, and none for sizes known late. The
    division comes last, since a reciprocal in bf16 is off by 0.2 per cent.

    Args:
        cells: Of the grid, down and across.

    Shape: (B, C, h, w) -> (B, C, *cells)
    """

    def __init__(self, cells: tuple[int, int]):
        super().__init__()
        self.cells = cells

    def forward(self, maps: Tensor) -> Tensor:
        if self.cells == (1, 1):
            return maps.mean(dim=(2, 3), keepdim=True)
        rows = grid_cells(maps.shape[2], self.cells[0], maps)  # (cells, h)
        columns = grid_cells(maps.shape[3], self.cells[1], maps)
        counts = rows.sum(dim=1).unsqueeze(1) * columns.sum(dim=1)
        return rows @ (maps @ columns.mT) / counts


def grid_cells(size: int, cells: int, like: Tensor) -> Tensor:
    """(cells, size): one where a position belongs to a cell; neighbours may share positions."""
    index = torch.arange(cells, device=like.device).unsqueeze(1)
    first, end = index * size // cells, ((index + 1) * size + cells - 1) // cells
    position = torch.arange(size, device=like.device)
    return ((position >= first) & (position < end)).to(like.dtype)


def enlargement(cells: int, size: int, like: Tensor, *, align_corners: bool) -> Tensor:
    """(size, cells): the weights bilinear resizing gives each cell at each position."""
    one_each = torch.eye(cells, device=like.device).unsqueeze(0)
    spread = F.interpolate(one_each, size=size, mode="linear", align_corners=align_corners)
    return spread[0].mT.to(like.dtype)
