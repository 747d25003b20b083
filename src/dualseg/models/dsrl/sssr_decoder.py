"""SSSR: from the host's last map to labels at exactly twice the input's size.

The default adds its answer to plain, bilinearly enlarged logits of the host's features. Without
them every class had to be learned through sixteen channels, and because an optimiser of Adam's
kind moves a sum of few terms slowly, the network stayed ten points of mIoU behind its own baseline
(docs/log.md).
"""

from itertools import pairwise
from typing import NamedTuple

import torch.nn.functional as F
from torch import Tensor, nn

from dualseg.config.dsrl import SssrKind
from dualseg.core.errors import InputError
from dualseg.core.geometry import Size, resize_logits
from dualseg.models.dsrl.upsampling import crop_to, deconv_bn_relu, double_size, icnr_
from dualseg.models.layers import conv_bn_relu
from dualseg.models.segmentation import Prediction

FINEST_STRIDE = 4  # learned upsampling starts here; coarser maps are first enlarged bilinearly
CORRECTION_STD = 0.01  # of the classifier on the narrow features: the coarse logits lead at first
WIDTHS = (64, 32, 16)  # channels after each learned doubling: stride 4 -> 2 -> 1 -> 1/2


class SSSRDecoder(nn.Module):
    """Learned upsampling of the host's features to (2H, 2W), the classifier last.

    For odd input sizes the result is still exactly twice as large: maps are enlarged by exact
    powers of two and cropped at the bottom and on the right (see `crop_to`).

    Args:
        in_channels: Channels of the host's last map.
        in_stride: Its stride.
        num_classes: Classes predicted, the ignored one not counted.
        kind: "deconvolution" (default): three times [transposed 4x4, batch norm, ReLU] of 64, 32,
            16 channels, then a 1x1 classifier; its logits are added to those of a 1x1 classifier
            on the host's features, enlarged; "pixel_shuffle": one sub-pixel convolution;
            "bilinear": a classifier and bilinear enlargement, nothing learned;
            "bilinear_convolution": pixel shuffle's layers with one answer to each place of the map,
            enlarged bilinearly: the control that tells its finer answer from its extra layer;
            "dootmaan": as bilinear in that port's two steps, to the input's size and then twice
            that, corners aligned;
            "official": classifier first, then two [transposed 3x3, batch norm, PReLU] on the
            classes (as the authors' ESPNetv2 release); "sanje2v": classifier, bilinear x2, two
            transposed 2x2 with ReLU on the logits (as sanje2v's port).
        dropout: Before the classifier.

    Shape: (B, in_channels, h, w) -> logits (B, K, 2H, 2W), features before the prediction layer

    Raises:
        InputError: "official" or "sanje2v" on a map of stride 1.

    Source: Wang et al. 2020, section 3.1; the variants from the repositories they are named after.
    """

    def __init__(
        self,
        in_channels: int,
        in_stride: int,
        num_classes: int,
        *,
        kind: SssrKind = "deconvolution",
        dropout: float = 0.0,
    ):
        super().__init__()
        self.kind = kind
        self.in_stride = in_stride
        self.enlarge = max(1, in_stride // FINEST_STRIDE)
        self.dropout = nn.Dropout(dropout)
        stride = in_stride // self.enlarge
        parts = _BUILDERS[kind](in_channels, stride, num_classes)
        self.upsample = parts.upsample
        self.predict = parts.predict
        self.coarse = parts.coarse
        self.feature_channels = parts.feature_channels

    @property
    def host_classifier(self) -> str | None:
        """Name of the 1x1 convolution that classifies the host's features as they are, if any."""
        return _HOST_CLASSIFIERS[self.kind]

    @property
    def only_enlarges(self) -> bool:
        """Whether its logits are those of a small map, bilinearly enlarged, and nothing else."""
        return self.kind in ("bilinear", "bilinear_convolution")

    def forward(self, features: Tensor, input_size: Size) -> Prediction:
        host_features = self.dropout(_enlarge(features, self.enlarge))
        features = self.upsample(host_features)
        logits = self.predict(features)
        if self.coarse is not None:
            logits = logits + self.coarse(host_features)
        size = double_size(input_size)
        if self.kind == "dootmaan":
            logits = resize_logits(logits, input_size, align_corners=True)
            logits = resize_logits(logits, size, align_corners=True)
        if features.shape[-2:] == logits.shape[-2:]:
            features = crop_to(features, size)
        return Prediction(crop_to(logits, size), features)


class Bilinear(nn.Module):
    """Exact bilinear enlargement by a whole factor."""

    def __init__(self, factor: int, *, align_corners: bool = False):
        super().__init__()
        self.factor = factor
        self.align_corners = align_corners

    def forward(self, maps: Tensor) -> Tensor:
        return _enlarge(maps, self.factor, align_corners=self.align_corners)


def _enlarge(maps: Tensor, factor: int, *, align_corners: bool = False) -> Tensor:
    if factor == 1:
        return maps
    return F.interpolate(maps, scale_factor=factor, mode="bilinear", align_corners=align_corners)


class Parts(NamedTuple):
    """What a kind is made of.

    Attributes:
        upsample: The host's features -> the last features before the prediction layer.
        predict: These -> logits.
        feature_channels: Their channels.
        coarse: The host's features -> logits that are added, or None.
    """

    upsample: nn.Module
    predict: nn.Module
    feature_channels: int
    coarse: nn.Module | None = None


def _deconvolution(in_channels: int, stride: int, num_classes: int) -> Parts:
    steps = (2 * stride).bit_length() - 1
    channels = [in_channels, *WIDTHS[-steps:]]
    blocks = [deconv_bn_relu(a, b) for a, b in pairwise(channels)]
    predict = nn.Conv2d(channels[-1], num_classes, 1)
    nn.init.normal_(predict.weight, std=CORRECTION_STD)
    coarse = nn.Sequential(nn.Conv2d(in_channels, num_classes, 1), Bilinear(2 * stride))
    return Parts(nn.Sequential(*blocks), predict, channels[-1], coarse)


def _pixel_shuffle(in_channels: int, stride: int, num_classes: int) -> Parts:
    factor = 2 * stride
    last = nn.Conv2d(WIDTHS[0], num_classes * factor**2, 3, padding=1)
    icnr_(last.weight, factor)
    predict = nn.Sequential(last, nn.PixelShuffle(factor))
    return Parts(conv_bn_relu(in_channels, WIDTHS[0], 1), predict, WIDTHS[0])


def _bilinear_convolution(in_channels: int, stride: int, num_classes: int) -> Parts:
    last = nn.Conv2d(WIDTHS[0], num_classes, 3, padding=1)
    predict = nn.Sequential(last, Bilinear(2 * stride))
    return Parts(conv_bn_relu(in_channels, WIDTHS[0], 1), predict, WIDTHS[0])


def _bilinear(in_channels: int, stride: int, num_classes: int) -> Parts:
    predict = nn.Sequential(nn.Conv2d(in_channels, num_classes, 1), Bilinear(2 * stride))
    return Parts(nn.Identity(), predict, in_channels)


def _dootmaan(in_channels: int, stride: int, num_classes: int) -> Parts:
    return Parts(nn.Identity(), nn.Conv2d(in_channels, num_classes, 1), in_channels)


def _official(in_channels: int, stride: int, num_classes: int) -> Parts:
    def block() -> list[nn.Module]:
        deconvolution = nn.ConvTranspose2d(
            num_classes, num_classes, 3, stride=2, padding=1, output_padding=1, bias=False
        )
        return [deconvolution, nn.BatchNorm2d(num_classes), nn.PReLU(num_classes)]

    classify = nn.Conv2d(in_channels, num_classes, 1)
    predict = nn.Sequential(classify, Bilinear(_half("official", stride)), *block(), *block())
    return Parts(nn.Identity(), predict, in_channels)


def _sanje2v(in_channels: int, stride: int, num_classes: int) -> Parts:
    predict = nn.Sequential(
        nn.Conv2d(in_channels, num_classes, 1),
        Bilinear(_half("sanje2v", stride), align_corners=True),
        nn.Dropout(0.2),
        nn.ConvTranspose2d(num_classes, num_classes, 2, stride=2, bias=False),
        nn.BatchNorm2d(num_classes),
        nn.ReLU(inplace=True),
        nn.Dropout(0.2),
        nn.ConvTranspose2d(num_classes, num_classes, 2, stride=2),
    )
    return Parts(nn.Identity(), predict, in_channels)


def _half(kind: SssrKind, stride: int) -> int:
    """What is left to enlarge before two doublings."""
    if stride == 1:
        raise InputError(
            f"the label decoder {kind!r} enlarges at least four times, and a map of stride 1 needs "
            "only twice; use another sssr, such as deconvolution"
        )
    return stride // 2


_BUILDERS = {
    "deconvolution": _deconvolution,
    "pixel_shuffle": _pixel_shuffle,
    "bilinear": _bilinear,
    "bilinear_convolution": _bilinear_convolution,
    "official": _official,
    "dootmaan": _dootmaan,
    "sanje2v": _sanje2v,
}

_HOST_CLASSIFIERS = {
    "deconvolution": "coarse.0",
    "pixel_shuffle": None,
    "bilinear": "predict.0",
    "bilinear_convolution": None,
    "official": "predict.0",
    "dootmaan": "predict",
    "sanje2v": "predict.0",
}
