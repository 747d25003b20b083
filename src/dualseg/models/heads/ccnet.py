"""CCNet: every position attends to its row and column, twice, and so to the whole map."""

from collections.abc import Sequence

import torch
from torch import Tensor, nn

from dualseg.core.errors import InputError
from dualseg.models.attention import without_autocast
from dualseg.models.backbones.features import FeatureInfo
from dualseg.models.heads.head import HeadOutput
from dualseg.models.layers import Activation, conv_bn_relu


class CCNetHead(nn.Module):
    """Recurrent criss-cross attention on the deepest feature, joined with that feature.

    Args:
        feature_info: Channels and strides of the features it is given.
        channels: Of the attention and of the result; a quarter of the feature's where not given.
        recurrence: How often the one attention layer is applied; after two, information has come
            from every position to every other.
        activation: After every batch norm: "relu" (mmsegmentation), "leaky_relu" (the authors').
        align_corners: Without effect: nothing is resized here.

    Shape: features[-1] (B, C, H/s, W/s) -> (B, channels, H/s, W/s)

    Raises:
        InputError: recurrence is below 1.

    Source: Huang et al. 2019, arXiv:1811.11721, section 3.
    """

    side_info: tuple[FeatureInfo, ...] = ()
    dropout = 0.1

    def __init__(
        self,
        feature_info: Sequence[FeatureInfo],
        *,
        channels: int | None = None,
        recurrence: int = 2,
        activation: Activation = "relu",
        align_corners: bool = False,
    ):
        super().__init__()
        if recurrence < 1:
            raise InputError(f"recurrence {recurrence} is not possible; use 1 or more, 2 as CCNet")
        in_channels, self.out_stride = feature_info[-1]
        width = channels or max(1, in_channels // 4)
        self.out_channels = width
        self.recurrence = recurrence
        self.reduce = conv_bn_relu(in_channels, width, activation=activation)
        self.attention = CrissCrossAttention(width)
        self.refine = conv_bn_relu(width, width, activation=activation)
        self.fuse = conv_bn_relu(in_channels + width, width, activation=activation)

    def forward(self, features: Sequence[Tensor]) -> HeadOutput:
        feature = features[-1]
        context = self.reduce(feature)
        for _ in range(self.recurrence):
            context = self.attention(context)
        return HeadOutput(self.fuse(torch.cat([feature, self.refine(context)], dim=1)))


class CrissCrossAttention(nn.Module):
    """Every position plus a weighted sum of the values in its row and its column.

    One softmax goes over all h + w - 1 of them; the inner products are not scaled. `gamma` starts
    at 0: the layer is the identity then.

    Shape: (B, C, h, w) -> (B, C, h, w); B h w (h + w) weights are held.

    Source: Huang et al. 2019, section 3.2. Inner products and softmax are in fp32 under autocast
        too.
    """

    def __init__(self, channels: int):
        super().__init__()
        width = max(1, channels // 8)
        self.query = nn.Conv2d(channels, width, 1)
        self.key = nn.Conv2d(channels, width, 1)
        self.value = nn.Conv2d(channels, channels, 1)
        self.gamma = nn.Parameter(torch.zeros(()))

    def forward(self, maps: Tensor) -> Tensor:
        query, key, value = self.query(maps), self.key(maps), self.value(maps)
        with without_autocast(maps):
            return maps + self.gamma * attend_criss_cross(query, key, value)


def attend_criss_cross(query: Tensor, key: Tensor, value: Tensor) -> Tensor:
    """One softmax over row and column; inner products and softmax in fp32, outside autocast.

    Shape: (B, D, h, w), (B, D, h, w), (B, C, h, w) -> (B, C, h, w)
    """
    height = query.shape[2]
    in_column = _columns(query.float()) @ _columns(key.float()).mT  # (B, w, h, h)
    in_row = _rows(query.float()) @ _rows(key.float()).mT  # (B, h, w, w)
    itself = torch.eye(height, dtype=torch.bool, device=query.device)  # it is in its row already
    in_column = in_column.masked_fill(itself, float("-inf"))
    energies = torch.cat([in_column.transpose(1, 2), in_row], dim=3)  # (B, h, w, h + w)
    weights = torch.softmax(energies, dim=3).to(value.dtype)
    from_column = weights[..., :height].transpose(1, 2) @ _columns(value)  # (B, w, h, C)
    from_row = weights[..., height:] @ _rows(value)  # (B, h, w, C)
    return (from_column.transpose(1, 2) + from_row).permute(0, 3, 1, 2)


def _columns(maps: Tensor) -> Tensor:
    return maps.permute(0, 3, 2, 1)  # (B, w, h, C)


def _rows(maps: Tensor) -> Tensor:
    return maps.permute(0, 2, 3, 1)  # (B, h, w, C)
