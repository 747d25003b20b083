"""The one composition all our networks share: backbone -> head -> predictor."""

from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple, Protocol

from torch import Tensor, nn

from dualseg.core.facts import ModelFacts
from dualseg.core.geometry import Size, resize_logits
from dualseg.core.outputs import SegmentationOutput
from dualseg.models.heads.head import Head


class Prediction(NamedTuple):
    """Logits at their final size, and the last features before the prediction layer."""

    logits: Tensor
    features: Tensor


class Predictor(Protocol):
    """From the head's map to logits; a classifier, or DSRL's label decoder."""

    def __call__(self, features: Tensor, input_size: Size) -> Prediction: ...


class Classifier(nn.Module):
    """Dropout, a 1x1 convolution, and bilinear resizing to the input's size.

    Shape: (B, C, h, w) -> logits (B, K, *input_size)
    """

    def __init__(self, in_channels: int, num_classes: int, *, dropout: float = 0.0):
        super().__init__()
        self.dropout = nn.Dropout(dropout)
        self.conv = nn.Conv2d(in_channels, num_classes, 1)

    def forward(self, features: Tensor, input_size: Size) -> Prediction:
        return Prediction(resize_logits(self.conv(self.dropout(features)), input_size), features)


class AuxiliaryHead(nn.Module):
    """A head with a classifier of its own on an intermediate feature, for training only."""

    def __init__(self, head: nn.Module, classifier: Classifier):
        super().__init__()
        self.head = head
        self.classifier = classifier

    def forward(self, features: Sequence[Tensor], input_size: Size) -> Tensor:
        return self.classifier(self.head(features), input_size).logits


class SegmentationModel(nn.Module):
    """Backbone, head and predictor, with optional auxiliary heads.

    Args:
        backbone: Maps images to a list of features, fine to coarse.
        head: Maps the features to one map.
        predictor: Maps that map to logits: `Classifier`, or a DSRL label decoder.
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
        auxiliary_heads: Sequence[AuxiliaryHead] = (),
        architecture: Mapping[str, Any],
    ):
        super().__init__()
        self.backbone = backbone
        self.head = head
        self.predictor = predictor
        self.auxiliary_heads = nn.ModuleList(auxiliary_heads)
        self.architecture = dict(architecture)
        self.facts: ModelFacts | None = None

    def forward(self, images: Tensor) -> SegmentationOutput:
        input_size = (images.shape[-2], images.shape[-1])
        features = self.backbone(images)
        prediction = self.predictor(self.head(features), input_size)
        return SegmentationOutput(prediction.logits, self.auxiliary_logits(features, input_size))

    def auxiliary_logits(self, features: Sequence[Tensor], input_size: Size) -> tuple[Tensor, ...]:
        """Logits (B, K, H, W) of every auxiliary head in training mode; nothing otherwise."""
        if not self.training:
            return ()
        return tuple(head(features, input_size) for head in self.auxiliary_heads)

    def prune(self) -> "SegmentationModel":
        """The same network without its auxiliary heads: same weights, bit-identical logits."""
        pruned = SegmentationModel(
            self.backbone,
            self.head,
            self.predictor,
            architecture={**self.architecture, "auxiliary": False},
        )
        pruned.facts = self.facts
        return pruned.train(self.training)
