"""The peers' side: their networks with random weights, and what their users do with them."""

import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import openvino
import torch
import torch.nn.functional as F
from numpy.typing import NDArray
from safetensors.torch import save_file
from torch import Tensor, nn

from dualseg.checkpoints.importers.catalog import import_checkpoint
from dualseg.core.facts import ModelFacts
from dualseg.core.geometry import Size

CLASSES = 19
MEAN, STD = (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)
MAX_DIFFERENCE = 1e-4


def smp_deeplabv3plus() -> nn.Module:
    """segmentation_models_pytorch's DeepLabV3+ on ResNet-50, output stride 16."""
    import segmentation_models_pytorch as smp

    return smp.DeepLabV3Plus("resnet50", encoder_weights=None, classes=CLASSES).eval()


def smp_pspnet() -> nn.Module:
    """segmentation_models_pytorch's PSPNet on ResNet-50 up to stride 8."""
    import segmentation_models_pytorch as smp

    return smp.PSPNet("resnet50", encoder_weights=None, classes=CLASSES).eval()


def torchvision_deeplabv3() -> nn.Module:
    """torchvision's DeepLabV3 on ResNet-50, output stride 8."""
    from torchvision.models.segmentation import deeplabv3_resnet50

    return deeplabv3_resnet50(weights=None, weights_backbone=None, num_classes=CLASSES).eval()


def imported(peer: nn.Module, library: str, arch: str) -> tuple[nn.Module, ModelFacts]:
    """Our network with the peer's weights, through the importer; it must answer alike.

    Raises:
        RuntimeError: It does not.
    """
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "peer.safetensors"
        save_file({name: t.contiguous() for name, t in peer.state_dict().items()}, path)
        model, facts, _ = import_checkpoint(path, library=library, arch=arch)
    model.eval()
    images = torch.randn(1, 3, 128, 192, generator=torch.Generator().manual_seed(0))
    with torch.inference_mode():
        wanted, got = logits_of(peer)(images), model(images).logits
    difference = float((got - wanted).abs().max() / wanted.abs().max())
    if difference > MAX_DIFFERENCE:
        raise RuntimeError(f"{arch} of {library} differs after import by {difference:.1e}")
    return model, facts


def logits_of(peer: nn.Module) -> Callable[[Tensor], Tensor]:
    """Whatever the network wraps them in."""

    def logits(images: Tensor) -> Tensor:
        output = peer(images)
        if isinstance(output, dict):
            output = output["out"]
        return getattr(output, "logits", output)

    return logits


def eager(peer: nn.Module, size: Size) -> Callable[[NDArray[np.uint8]], NDArray[np.uint8]]:
    """Image -> label map as their users do it: fp32, torch as it comes."""
    from torchvision.transforms.functional import normalize, to_tensor

    def label_map(image: NDArray[np.uint8]) -> NDArray[np.uint8]:
        with torch.inference_mode():
            inputs = normalize(to_tensor(image), MEAN, STD)[None]
            logits = logits_of(peer)(inputs)
            logits = F.interpolate(logits, size, mode="bilinear", align_corners=False)
            return logits.argmax(dim=1)[0].to(torch.uint8).numpy()

    return label_map


class _Tensors(nn.Module):
    """A network with normalisation before it and, where a size is given, bilinear resizing and
    arg-max after it.
    """

    def __init__(self, network: nn.Module, size: Size | None, *, normalises: bool):
        super().__init__()
        self.network = network
        self.size = size
        self.normalises = normalises
        self.mean = nn.Buffer(255 * torch.tensor(MEAN).view(1, 3, 1, 1))
        self.std = nn.Buffer(255 * torch.tensor(STD).view(1, 3, 1, 1))

    def forward(self, images: Tensor) -> Tensor:
        if self.normalises:
            images = (images.float() - self.mean) / self.std
        logits = logits_of(self.network)(images)
        if self.size is None:
            return logits
        logits = F.interpolate(logits, self.size, mode="bilinear", align_corners=False)
        return logits.argmax(dim=1).to(torch.uint8)


def openvino_label_map(peer: nn.Module, image_size: Size, size: Size, precision: str) -> Any:
    """OpenVINO's own export, from uint8 image (H, W, 3) to label map, all in the graph."""
    images = torch.zeros((1, 3, *image_size), dtype=torch.uint8)
    run = _compiled(_Tensors(peer, size, normalises=True), images, precision)
    return lambda image: run(np.ascontiguousarray(image.transpose(2, 0, 1))[None])[0]


def openvino_network(peer: nn.Module, input_size: Size, precision: str) -> Any:
    """OpenVINO's own export of the network alone, on noise."""
    images = torch.randn((1, 3, *input_size), generator=torch.Generator().manual_seed(0))
    run = _compiled(_Tensors(peer, None, normalises=False), images, precision)
    inputs = images.numpy()
    return lambda: run(inputs)


def _compiled(module: nn.Module, images: Tensor, precision: str) -> Any:
    """By torch.export, which OpenVINO converts as it does a module; it knows more operations."""
    with torch.no_grad():
        program = torch.export.export(module.eval(), (images,), strict=False)
    graph = openvino.convert_model(program)
    settings = {
        "PERFORMANCE_HINT": "LATENCY",
        "INFERENCE_NUM_THREADS": torch.get_num_threads(),
        "INFERENCE_PRECISION_HINT": precision,
    }
    request = openvino.Core().compile_model(graph, "CPU", settings).create_infer_request()
    return lambda array: request.infer([array], share_inputs=True, share_outputs=True)[0]
