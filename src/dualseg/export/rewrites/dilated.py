"""Widely dilated 3x3 convolutions as 1x1 products and shifted sums.

Libraries have fast paths for dense 3x3 and for 1x1; a 3x3 whose taps lie far apart falls off both
on some processors (docs/performance.md).
"""

from collections.abc import Callable
from typing import Literal, TypeGuard

import torch.nn.functional as F
from torch import Tensor, nn

from dualseg.export.rewrites.copying import replace_module, shared_copy
from dualseg.export.rewrites.space_to_batch import PhasesConvolution

Form = Literal["one product", "a product a row", "a product a tap", "phases"]
MIN_DILATION = 2


def rewrite_dilated(model: nn.Module, form: Form, *, min_dilation: int = MIN_DILATION) -> nn.Module:
    """Every dilated 3x3 convolution of the network in one of the exact forms of `FORMS`.

    Args:
        model: Left as it is; its weights are copied into another order, "phases" shares them.
        form: "one product": one 1x1 convolution to nine times the channels, then nine shifted adds
            (any size); "a product a row" and "a product a tap": three or nine 1x1 convolutions,
            each on the part of the map its taps read, those that read only padding dropped;
            "phases": a dense 3x3 on the d x d maps of every d-th pixel. The last three are for the
            size they are exported at.
        min_dilation: Of the convolutions to rewrite.
    """
    rewritten = shared_copy(model)
    for name, module in list(rewritten.named_modules()):
        if is_dilated(module) and module.dilation[0] >= min_dilation:
            replace_module(rewritten, name, FORMS[form](module))
    return rewritten


def is_dilated(module: nn.Module) -> TypeGuard[nn.Conv2d]:
    """Whether it is a dilated 3x3 that keeps the map's size, not grouped, the same both ways."""
    return (
        type(module) is nn.Conv2d
        and module.kernel_size == (3, 3)
        and module.stride == (1, 1)
        and module.groups == 1
        and module.padding_mode == "zeros"
        and module.dilation[0] == module.dilation[1] >= MIN_DILATION
        and module.padding == module.dilation
    )


class OneProduct(nn.Module):
    """One 1x1 convolution to nine times the channels, then nine shifted adds; any size.

    Args:
        convolution: As `is_dilated` wants it.

    Shape: (B, C, h, w) -> (B, O, h, w)
    """

    def __init__(self, convolution: nn.Conv2d):
        super().__init__()
        self.dilation = convolution.dilation[0]
        self.weight = nn.Parameter(taps_side_by_side(convolution.weight), requires_grad=False)
        self.bias = convolution.bias

    def forward(self, maps: Tensor) -> Tensor:
        return shifted_sum(F.conv2d(maps, self.weight), self.dilation, self.bias)


class ProductPerRow(nn.Module):
    """For each row of taps one 1x1 convolution on the rows it reads, then shifted adds.

    Args:
        convolution: As `is_dilated` wants it.

    Shape: (B, C, h, w) -> (B, O, h, w); exported for the size it is exported at.
    """

    def __init__(self, convolution: nn.Conv2d):
        super().__init__()
        self.dilation = convolution.dilation[0]
        rows = taps_side_by_side(convolution.weight).chunk(3)  # (3 O, C, 1, 1) each
        self.weights = nn.ParameterList(nn.Parameter(r.clone(), requires_grad=False) for r in rows)
        self.bias = convolution.bias

    def forward(self, maps: Tensor) -> Tensor:
        (height, width), d = maps.shape[-2:], self.dilation
        total = None
        for tap in (1, 0, 2):
            shift = (tap - 1) * d
            if abs(shift) >= height:
                continue
            read = maps[:, :, max(0, shift) : height + min(0, shift)]
            products = F.conv2d(read, self.weights[tap])
            left, middle, right = products.chunk(3, dim=1)
            row = middle
            if d < width:
                row = row + F.pad(left[..., : width - d], (d, 0)) + F.pad(right[..., d:], (0, d))
            row = F.pad(row, (0, 0, max(0, -shift), max(0, shift)))
            total = row if total is None else total + row
        assert total is not None
        return total if self.bias is None else total + self.bias.view(1, -1, 1, 1)


class ProductPerTap(nn.Module):
    """Nine 1x1 convolutions, each on the part of the map its tap reads, added where they belong.

    Args:
        convolution: As `is_dilated` wants it.

    Shape: (B, C, h, w) -> (B, O, h, w); exported for the size it is exported at.
    """

    def __init__(self, convolution: nn.Conv2d):
        super().__init__()
        self.dilation = convolution.dilation[0]
        taps = taps_side_by_side(convolution.weight).chunk(9)  # (O, C, 1, 1) each
        self.weights = nn.ParameterList(nn.Parameter(t.clone(), requires_grad=False) for t in taps)
        self.bias = convolution.bias

    def forward(self, maps: Tensor) -> Tensor:
        height, width = maps.shape[-2:]
        total = F.conv2d(maps, self.weights[4], self.bias)
        for tap in (0, 1, 2, 3, 5, 6, 7, 8):
            down, across = (tap // 3 - 1) * self.dilation, (tap % 3 - 1) * self.dilation
            if abs(down) >= height or abs(across) >= width:
                continue
            read = maps[
                :,
                :,
                max(0, down) : height + min(0, down),
                max(0, across) : width + min(0, across),
            ]
            product = F.conv2d(read, self.weights[tap])
            margins = (max(0, -across), max(0, across), max(0, -down), max(0, down))
            total = total + F.pad(product, margins)
        return total


FORMS: dict[Form, Callable[[nn.Conv2d], nn.Module]] = {
    "one product": OneProduct,
    "a product a row": ProductPerRow,
    "a product a tap": ProductPerTap,
    "phases": PhasesConvolution,
}


def taps_side_by_side(weight: Tensor) -> Tensor:
    """(O, C, 3, 3) -> (9 O, C, 1, 1): tap by tap, row by row."""
    return weight.detach().permute(2, 3, 0, 1).flatten(0, 2)[..., None, None].contiguous()


def shifted_sum(products: Tensor, dilation: int, bias: Tensor | None) -> Tensor:
    """(B, 9 O, h, w) -> (B, O, h, w): every tap's product moved to where its sum is."""
    height, width = products.shape[-2:]
    padded = F.pad(products, (dilation,) * 4)
    total = None
    for tap, product in enumerate(padded.chunk(9, dim=1)):
        top, left = tap // 3 * dilation, tap % 3 * dilation
        moved = product[:, :, top : top + height, left : left + width]
        total = moved if total is None else total + moved
    assert total is not None
    return total if bias is None else total + bias.view(1, -1, 1, 1)
