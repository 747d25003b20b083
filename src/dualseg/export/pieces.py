"""What an exported file is made of: pre-processing, the network, and on demand the label map."""

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from dualseg.core.facts import ModelFacts
from dualseg.core.geometry import Size
from dualseg.export.rewrites.coarse_logits import stop_before_resizing
from dualseg.export.shrinking import Shrink
from dualseg.models.dsrl.sssr_decoder import SSSRDecoder
from dualseg.models.segmentation import Classifier, Resizer, SegmentationModel


class Preprocessing(nn.Module):
    """From pixels to what the network reads: normalised and shrunk.

    The shrink comes first, on fewer pixels; both are linear and its weights sum to one.

    Args:
        facts: Mean, standard deviation and input scale.

    Shape: (B, C, H, W) uint8, or float in 0..255 -> (B, C, h, w) float
    """

    def __init__(self, facts: ModelFacts):
        super().__init__()
        self.shift = nn.Buffer(torch.tensor(facts.mean).view(1, -1, 1, 1) * 255.0)
        self.gain = nn.Buffer(1.0 / (torch.tensor(facts.std).view(1, -1, 1, 1) * 255.0))
        self.shrink = Shrink(facts.input_scale) if facts.input_scale != 1.0 else nn.Identity()

    def forward(self, images: Tensor) -> Tensor:
        return (self.shrink(images.float()) - self.shift) * self.gain


class Network(nn.Module):
    """A network whose result is one tensor.

    Args:
        model: Its logits are taken.

    Shape: (B, C, h, w) float -> (B, K, ., .)
    """

    def __init__(self, model: SegmentationModel):
        super().__init__()
        self.model = model

    def forward(self, network_input: Tensor) -> Tensor:
        return self.model(network_input).logits


class LabelMap(nn.Module):
    """The end of the way, for programs that use the file alone: resizing and arg-max.

    Shape: logits (B, K, h, w), images (B, C, H, W) -> (B, H, W) uint8
    """

    def forward(self, logits: Tensor, images: Tensor) -> Tensor:
        size = images.shape[-2:]
        resized = F.interpolate(logits, size=size, mode="bilinear", align_corners=False)
        return resized.argmax(dim=1).to(torch.uint8)


def resizes_last(model: nn.Module, facts: ModelFacts, size: Size | None) -> bool:
    """Whether plain bilinear resizing to the image's size is the last thing that happens.

    Then it can be left to one pass that resizes and picks the best class at once. Not where the
    network saw a shrunk image, whose logits are resized twice, nor with aligned corners. DSRL's
    label decoders that only enlarge do so by a whole factor, which is the same where nothing is
    cropped.

    Args:
        model: The network.
        facts: Of it.
        size: (height, width) of all images, where they have one.
    """
    predictor = getattr(model, "predictor", None)
    if isinstance(predictor, SSSRDecoder) and predictor.only_enlarges:
        uncropped = size and all(side % (2 * predictor.in_stride) == 0 for side in size)
        return bool(uncropped) and facts.input_scale == 0.5
    plain = isinstance(predictor, Classifier | Resizer) and not predictor.align_corners
    return plain and facts.input_scale == 1.0


def exported_network(model: SegmentationModel, facts: ModelFacts, size: Size | None) -> Network:
    """The part of the file that holds the weights.

    Args:
        model: Pruned and exportable; left as it is, all weights are shared.
        facts: Its input scale decides whether the last resizing stays outside.
        size: (height, width) of all images, where they have one.
    """
    exported = stop_before_resizing(model) if resizes_last(model, facts, size) else model
    assert isinstance(exported, SegmentationModel)
    return Network(exported)
