"""DANet: attention among positions and among channels, side by side."""

from collections.abc import Sequence

import torch
from torch import Tensor, nn

from dualseg.models.attention import as_maps, attend, positions, without_autocast
from dualseg.models.backbones.features import FeatureInfo
from dualseg.models.heads.head import HeadOutput
from dualseg.models.layers import conv_bn_relu


class DANetHead(nn.Module):
    """Position and channel attention on the deepest feature, added.

    Args:
        feature_info: Channels and strides of the features it is given.
        channels: Of either branch and of the result; a quarter of the feature's where not given.
        align_corners: Without effect: nothing is resized here.

    Shape: features[-1] (B, C, H/s, W/s) -> (B, channels, H/s, W/s); side features: the position
        branch, then the channel branch, of the same shape; each has a classifier in training.

    Source: Fu et al. 2019, arXiv:1809.02983, section 3.
    """

    dropout = 0.1

    def __init__(
        self,
        feature_info: Sequence[FeatureInfo],
        *,
        channels: int | None = None,
        align_corners: bool = False,
    ):
        super().__init__()
        in_channels, stride = feature_info[-1]
        width = channels or max(1, in_channels // 4)
        self.out_channels = width
        self.out_stride = stride
        self.side_info = (FeatureInfo(width, stride), FeatureInfo(width, stride))
        self.position_in = conv_bn_relu(in_channels, width)
        self.position = PositionAttention(width)
        self.position_out = conv_bn_relu(width, width)
        self.channel_in = conv_bn_relu(in_channels, width)
        self.channel = ChannelAttention()
        self.channel_out = conv_bn_relu(width, width)

    def forward(self, features: Sequence[Tensor]) -> HeadOutput:
        feature = features[-1]
        by_position = self.position_out(self.position(self.position_in(feature)))
        by_channel = self.channel_out(self.channel(self.channel_in(feature)))
        return HeadOutput(by_position + by_channel, (by_position, by_channel))


class PositionAttention(nn.Module):
    """Every position plus a weighted sum of all positions' values.

    The inner products are not scaled. `gamma` starts at 0: the layer is the identity then, and
    query, key and value get their first gradients after it has moved.

    Shape: (B, C, h, w) -> (B, C, h, w)

    Source: Fu et al. 2019, section 3.2.
    """

    def __init__(self, channels: int):
        super().__init__()
        width = max(1, channels // 8)
        self.query = nn.Conv2d(channels, width, 1)
        self.key = nn.Conv2d(channels, width, 1)
        self.value = nn.Conv2d(channels, channels, 1)
        self.gamma = nn.Parameter(torch.zeros(()))

    def forward(self, maps: Tensor) -> Tensor:
        query, key, value = (positions(t(maps)) for t in (self.query, self.key, self.value))
        attended = attend(query, key, value, scale=1.0)
        return maps + self.gamma * as_maps(attended, maps)


class ChannelAttention(nn.Module):
    """Every channel plus a weighted sum of all channels, those least like it weighing most.

    Shape: (B, C, h, w) -> (B, C, h, w)

    Source: Fu et al. 2019, section 3.3, with the weights of its code: softmax(row maximum - energy)
        where the paper writes softmax(energy). The maximum cancels in a softmax and is left out.
        Energies are sums over all positions, thousands with differences of some units: they are in
        fp32 under autocast too.
    """

    def __init__(self):
        super().__init__()
        self.gamma = nn.Parameter(torch.zeros(()))

    def forward(self, maps: Tensor) -> Tensor:
        channels = maps.flatten(2)  # (B, C, N)
        with without_autocast(maps):
            exact = channels.float()
            weights = torch.softmax(-(exact @ exact.mT), dim=2)  # (B, C, C)
            attended = weights.to(channels.dtype) @ channels
        return maps + self.gamma * attended.unflatten(2, maps.shape[-2:])
