"""What trackers are shown of a network beside its numbers: pictures and weights."""

from collections.abc import Callable

import numpy as np
import torch
import torch.nn.functional as F
from numpy.typing import NDArray
from torch import Tensor, nn

from dualseg.core.facts import ModelFacts
from dualseg.core.geometry import normalize_images, shrink_images
from dualseg.core.image_spec import Pixels, to_rgb
from dualseg.data.dataset import SegmentationDataset
from dualseg.evaluation.evaluate import evaluation_mode
from dualseg.inference.predictor import batch_of_one
from dualseg.inference.strategies import Precision, device_of, whole
from dualseg.models.dsrl.model import DsrlModel
from dualseg.visual.overlay import paint

Show = Callable[[str, NDArray[np.uint8]], None]


def show_samples(
    network: nn.Module,
    dataset: SegmentationDataset,
    *,
    facts: ModelFacts,
    count: int,
    precision: Precision,
    show: Show,
) -> None:
    """Draws the network's answers to a few images, evenly spaced: the same at every validation.

    `samples/NAME` has image, label and prediction side by side. `super_resolution/NAME`, for a
    DSRL network with an image decoder, the network's input enlarged, what the decoder made of it,
    and the image. Nothing random is drawn and no statistic of the network changes.

    Args:
        network: As it is validated.
        dataset: The validation split.
        facts: How the input is prepared.
        count: Images.
        precision: As in the validation.
        show: Gets name and picture.
    """
    places = np.unique(np.linspace(0, len(dataset) - 1, min(count, len(dataset))).round())
    with evaluation_mode(network):
        logits = whole(network, facts, precision=precision)
        for index in places.astype(int).tolist():
            image, name = dataset.image(index), dataset.name(index)
            preds = logits(batch_of_one(image)).argmax(1)[0].to(torch.uint8).cpu().numpy()
            label = paint(dataset.label_map(index), facts.labels)
            answer = paint(preds, facts.labels)
            show(f"samples/{name}", np.hstack([to_rgb(image), label, answer]))
            if isinstance(network, DsrlModel) and network.sisr_decoder is not None:
                show(f"super_resolution/{name}", super_resolution(network, image, facts))


def super_resolution(network: DsrlModel, image: Pixels, facts: ModelFacts) -> NDArray[np.uint8]:
    """Input enlarged, reconstruction and image, side by side at the image's size."""
    assert network.sisr_decoder is not None, "only DSRL from stage 2 on has one"
    image_hr = batch_of_one(image).to(device_of(network))
    inputs = shrink_images(normalize_images(image_hr, facts.mean, facts.std), facts.input_scale)
    with torch.inference_mode():
        features = network.host.encode(inputs).backbone_features
        made = network.sisr_decoder(features, (inputs.shape[-2], inputs.shape[-1])).image
    size = (image.shape[0], image.shape[1])
    enlarged = F.interpolate(inputs, size, mode="nearest")
    # Odd sizes and data.base_scale: twice the input need not be the image's size.
    made = F.interpolate(made, size, mode="bilinear", align_corners=False)
    return np.hstack([_picture(enlarged, facts), _picture(made, facts), to_rgb(image)])


def show_weights(network: nn.Module, show: Callable[[str, NDArray[np.float32]], None]) -> None:
    """Every parameter as `weights/NAME`, flat."""
    for name, parameter in network.named_parameters():
        show(f"weights/{name}", parameter.detach().float().cpu().numpy().ravel())


def _picture(normalized: Tensor, facts: ModelFacts) -> NDArray[np.uint8]:
    """(1, C, H, W) as the network sees it -> RGB."""
    mean = torch.tensor(facts.mean, device=normalized.device).view(-1, 1, 1)
    std = torch.tensor(facts.std, device=normalized.device).view(-1, 1, 1)
    pixels = (normalized[0].float() * std + mean) * 255
    return to_rgb(pixels.permute(1, 2, 0).cpu().numpy())
