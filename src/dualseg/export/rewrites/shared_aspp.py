"""All branches of an ASPP as one product on their common input."""

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from dualseg.export.rewrites.copying import replace_module, shared_copy
from dualseg.export.rewrites.dilated import is_dilated, shifted_sum, taps_side_by_side
from dualseg.export.rewrites.pooled_context import convolved_enlargements
from dualseg.models.layers import ASPP, ImagePooling


def share_aspp_inputs(model: nn.Module) -> nn.Module:
    """Every ASPP of full convolutions as one 1x1 product for all rates, then shifted adds.

    Args:
        model: Left as it is; the branches' weights are copied side by side, all others shared.
    """
    rewritten = shared_copy(model)
    for name, module in list(rewritten.named_modules()):
        if isinstance(module, ASPP) and can_share(module):
            replace_module(rewritten, name, SharedASPP(module))
    return rewritten


def can_share(aspp: ASPP) -> bool:
    """Whether its branches are a 1x1, dilated 3x3 convolutions, and image pooling."""
    first, *middle, last = aspp.branches
    return (
        isinstance(first, nn.Sequential)
        and isinstance(last, ImagePooling)
        and all(isinstance(branch, nn.Sequential) and is_dilated(branch[0]) for branch in middle)
    )


class SharedASPP(nn.Module):
    """One 1x1 convolution gives the 1x1 branch and nine taps for each rate.

    The pooled branch, the same everywhere, meets its part of the projection as one vector.

    Args:
        aspp: What `can_share` allows.

    Shape: (B, in_channels, h, w) -> (B, out_channels, h, w)
    """

    def __init__(self, aspp: ASPP):
        super().__init__()
        first, *middle, last = aspp.branches
        convolutions = [branch[0] for branch in (first, *middle)]  # type: ignore[index]
        weights = [convolutions[0].weight.detach()]
        weights += [taps_side_by_side(convolution.weight) for convolution in convolutions[1:]]
        self.weight = nn.Parameter(torch.cat(weights), requires_grad=False)
        self.widths = [len(weight) for weight in weights]
        self.dilations = [convolution.dilation[0] for convolution in convolutions[1:]]
        self.biases = nn.ParameterList(c.bias for c in convolutions if c.bias is not None)
        self.after = nn.ModuleList(branch[1:] for branch in (first, *middle))  # type: ignore[index]
        self.pooling = last
        projection = aspp.project[0][0]  # type: ignore[index]
        assert isinstance(projection, nn.Conv2d)
        self.projection = projection
        self.after_projection = nn.Sequential(aspp.project[0][1:], aspp.project[1])  # type: ignore[index]

    def forward(self, features: Tensor) -> Tensor:
        products = F.conv2d(features, self.weight).split(self.widths, dim=1)
        biases = [*self.biases] if len(self.biases) else [None] * len(products)
        first = products[0] if biases[0] is None else products[0] + biases[0].view(1, -1, 1, 1)
        maps = [first] + [
            shifted_sum(product, dilation, bias)
            for product, dilation, bias in zip(
                products[1:], self.dilations, biases[1:], strict=True
            )
        ]
        maps = [after(branch) for after, branch in zip(self.after, maps, strict=True)]
        pooled = self.pooling(features)[:, :, :1, :1]
        joined = torch.cat(maps, dim=1)
        weight, bias = self.projection.weight, self.projection.bias
        own = joined.shape[1]
        projected = F.conv2d(joined, weight[:, :own], bias, padding=self.projection.padding)  # type: ignore[arg-type]
        size = (joined.shape[2], joined.shape[3])
        context = convolved_enlargements([pooled], weight[:, own:], size, False)
        return self.after_projection(projected + context)
