"""A file as other programs run it: all of it, from images to every output."""

from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple

import torch
from torch import Tensor

from dualseg.core.geometry import resize_logits
from dualseg.export.packages import need
from dualseg.export.sessions import (
    ExportPrecision,
    Session,
    onnxruntime_session,
    openvino_session,
)


class Outputs(NamedTuple):
    """Of one batch of images.

    Attributes:
        logits: (B, K, H, W), resized to the images' size where the file leaves that out.
        label_map: (B, H, W); None where the file gives none.
    """

    logits: Tensor
    label_map: Tensor | None


Shipped = Callable[[Tensor], Outputs]


def run_as_shipped(path: Path, precision: ExportPrecision) -> Shipped:
    """Only for a file that this process has just written: a .pt2 file's program is opened."""
    run = {".onnx": _onnx, ".xml": _openvino, ".pt2": _program}[path.suffix](path, precision)

    def outputs(images: Tensor) -> Outputs:
        found = run(images)
        logits = resize_logits(found[0].float(), (images.shape[-2], images.shape[-1]))
        return Outputs(logits, found[1] if len(found) > 1 else None)

    return outputs


def _onnx(path: Path, precision: ExportPrecision) -> Callable[[Tensor], list[Tensor]]:
    return _of_tensors(onnxruntime_session(path.read_bytes(), path.name))


def _openvino(path: Path, precision: ExportPrecision) -> Callable[[Tensor], list[Tensor]]:
    openvino = need("openvino", f"running {path.name}")
    return _of_tensors(openvino_session(openvino.Core().read_model(str(path)), precision))


def _of_tensors(session: Session) -> Callable[[Tensor], list[Tensor]]:
    return lambda images: session(images.numpy())


def _program(path: Path, precision: ExportPrecision) -> Callable[[Tensor], list[Tensor]]:
    module = torch.export.load(path).module()

    def run(images: Tensor) -> list[Tensor]:
        with torch.inference_mode():
            found = module(images=images)
        return [found[name] for name in ("logits", "label_map") if name in found]

    return run
