"""The one composition all our networks share: backbone -> neck -> head -> predictor."""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any, NamedTuple, Protocol

from torch import Tensor, nn

from dualseg.core.facts import ModelFacts
from dualseg.core.geometry import Size, resize_logits
from dualseg.core.outputs import SegmentationOutput
from dualseg.models.backbones.features import FeatureInfo
from dualseg.models.heads.head import Head


class Prediction(NamedTuple):
    """Logits at their final size, and the last features before the prediction layer."""

    logits: Tensor
    features: Tensor


class Predictor(Protocol):
    """From the head's map to logits; a classifier, or DSRL's label decoder."""

    def __call__(self, features: Tensor, input_size: Size) -> Prediction: ...


class Classifier(nn.Module):
    """Dropout, a convolution, and bilinear resizing to the input's size.

    Args:
        in_channels: Channels of the map.
        num_classes: Classes predicted, the ignored one not counted.
        kernel_size: Of the convolution, odd.
        dropout: Before the convolution, element by element.
        align_corners: Of the resizing.

    Shape: (B, C, h, w) -> logits (B, K, *input_size)
    """

    def __init__(
        self,
        in_channels: int,
        num_classes: int,
        *,
        kernel_size: int = 1,
        dropout: float = 0.0,
        align_corners: bool = False,
    ):
        super().__init__()
        self.dropout = nn.Dropout(dropout)
        self.conv = nn.Conv2d(in_channels, num_classes, kernel_size, padding=kernel_size // 2)
        self.align_corners = align_corners

    def forward(self, features: Tensor, input_size: Size) -> Prediction:
        logits = self.conv(self.dropout(features))
        resized = resize_logits(logits, input_size, align_corners=self.align_corners)
        return Prediction(resized, features)


class Resizer(nn.Module):
    """For heads whose map already holds class scores (DeepLab v2): bilinear resizing alone.

    Shape: (B, K, h, w) -> logits (B, K, *input_size)
    """

    def __init__(self, *, align_corners: bool = False):
        super().__init__()
        self.align_corners = align_corners

    def forward(self, features: Tensor, input_size: Size) -> Prediction:
        resized = resize_logits(features, input_size, align_corners=self.align_corners)
        return Prediction(resized, features)


class AuxiliaryHead(nn.Module):
    """A head with a classifier of its own on an intermediate or side feature, for training only."""

    def __init__(self, head: Head, classifier: Predictor):
        super().__init__()
        self.head = head
        self.classifier = classifier

    def forward(self, features: Sequence[Tensor], input_size: Size) -> Tensor:
        return self.classifier(self.head(features).features, input_size).logits


class Encoding(NamedTuple):
    """What backbone, neck and head make of an image.

    Attributes:
        backbone_features: Of the backbone, fine to coarse; an image decoder reads them.
        features: The head's map; a predictor reads it.
        auxiliary_features: Features after the neck, then the head's side features; auxiliary heads
            read them.
    """

    backbone_features: list[Tensor]
    features: Tensor
    auxiliary_features: list[Tensor]


def _within(
    features: Sequence[Tensor], info: Sequence[FeatureInfo], images: Tensor
) -> list[Tensor]:
    """Cuts off what reaches beyond an odd-sized image, where a neck enlarged by a whole factor."""
    height, width = images.shape[-2:]
    return [
        maps[..., : -(-height // stride), : -(-width // stride)]
        for maps, (_, stride) in zip(features, info, strict=True)
    ]


class SegmentationModel(nn.Module):
    """Backbone, optional neck, head and predictor, with optional auxiliary heads.

    Args:
        backbone: Maps images to a list of features, fine to coarse.
        head: Maps the features to one map.
        predictor: Maps that map to logits: `Classifier`, or a DSRL label decoder.
        neck: Changes the features before the head reads them.
        auxiliary_heads: Extra heads whose logits are returned in training mode.
        architecture: The arguments of `create_model` that build this network again.

    Shape: images (B, 3, H, W) float -> logits (B, K, H, W), or (B, K, 2H, 2W) with a DSRL label
        decoder.
    """

    def __init__(
        self,
        backbone: nn.Module,
        head: Head,
        predictor: Predictor,
        *,
        neck: nn.Module | None = None,
        auxiliary_heads: Sequence[AuxiliaryHead] = (),
        architecture: Mapping[str, Any],
    ):
        super().__init__()
        self.backbone = backbone
        self.neck = neck
        self.head = head
        self.predictor = predictor
        self.auxiliary_heads = nn.ModuleList(auxiliary_heads)
        self.architecture = dict(architecture)
        self.facts: ModelFacts | None = None

    def forward(self, images: Tensor) -> SegmentationOutput:
        input_size = (images.shape[-2], images.shape[-1])
        encoding = self.encode(images)
        prediction = self.predictor(encoding.features, input_size)
        return SegmentationOutput(
            prediction.logits,
            self.auxiliary_logits(encoding, input_size),
            features=prediction.features if self.training else None,
        )

    def encode(self, images: Tensor) -> Encoding:
        """Everything but the prediction."""
        backbone_features = self.backbone(images)
        features = backbone_features
        if self.neck is not None:
            features = _within(self.neck(features), self.neck.feature_info, images)  # type: ignore[arg-type]
        output = self.head(features)
        return Encoding(backbone_features, output.features, [*features, *output.side_features])

    def auxiliary_logits(self, encoding: Encoding, input_size: Size) -> tuple[Tensor, ...]:
        """Logits (B, K, H, W) of every auxiliary head in training mode; nothing otherwise."""
        if not self.training:
            return ()
        maps = encoding.auxiliary_features
        return tuple(head(maps, input_size) for head in self.auxiliary_heads)

    def prune(self) -> "SegmentationModel":
        """The same network without its auxiliary heads: same weights, bit-identical logits.

        Its parts are this network's own and stay as each is, in training or evaluation mode.
        """
        pruned = SegmentationModel(
            self.backbone,
            self.head,
            self.predictor,
            neck=self.neck,
            architecture={**self.architecture, "auxiliary": False},
        )
        pruned.facts = self.facts
        if pruned.facts is not None:
            pruned.facts = replace(pruned.facts, architecture=pruned.architecture)
        pruned.training = self.training  # not by train(), which would reach the parts
        pruned.auxiliary_heads.train(self.auxiliary_heads.training)
        return pruned
