"""Checks an importer against a golden file made with the original authors' code."""

from dataclasses import replace
from functools import lru_cache
from pathlib import Path
from types import ModuleType
from typing import Any, NamedTuple

import pytest
import torch
from torch import Tensor, nn

from dualseg.checkpoints.foreign.checkpoint import ForeignCheckpoint
from dualseg.checkpoints.importers.translation import Translation
from dualseg.checkpoints.model_files import load_weights
from dualseg.models.catalog import create_model
from reference.golden import compare, load_golden
from reference.original_weights import original_tensors
from reference.random_weights import random_image

GOLDEN = Path(__file__).parent / "golden"


def original_weights(golden: str, *, negative_scales: bool = False) -> dict[str, Tensor]:
    """The state dict that a golden file was made with."""
    return dict(_original_weights(golden, negative_scales))


@lru_cache(maxsize=1)  # tests of one network follow each other
def _original_weights(golden: str, negative_scales: bool) -> dict[str, Tensor]:
    shapes = load_golden(GOLDEN / f"{golden}.npz").shapes
    return original_tensors(shapes, negative_scales=negative_scales)


class Original(NamedTuple):
    """An original network: which importer reads it, as what, and its golden file.

    Attributes:
        importer: Module of `dualseg.checkpoints.importers`.
        arch: One of its architectures.
        suffix: Of the golden file's name, after `NAME_arch`.
        negative_scales: As `original_tensors`.
        is_bgr: Whether the original read its images blue first.
    """

    importer: ModuleType
    arch: str
    suffix: str = ""
    negative_scales: bool = False
    is_bgr: bool = False

    @property
    def golden(self) -> str:
        return f"{self.importer.NAME}_{self.arch}{self.suffix}"

    @property
    def checkpoint(self) -> ForeignCheckpoint:
        return self.checkpoint_of(
            original_weights(self.golden, negative_scales=self.negative_scales)
        )

    @staticmethod
    def checkpoint_of(tensors: dict[str, Tensor]) -> ForeignCheckpoint:
        return ForeignCheckpoint(Path("weights.pth"), "0" * 64, "torch zip", tensors, meta={})

    def translate(self) -> Translation:
        return self.importer.translate(self.checkpoint, self.arch)


def assert_same_logits(original: Original, **changes: Any) -> None:
    """Translates, builds, and compares the logits of every size, auxiliary ones included.

    Args:
        original: See above.
        changes: Arguments of `create_model` to be other than the importer says.
    """
    translation = original.translate()
    model = build(replace(translation, architecture={**translation.architecture, **changes}))
    for size, sample in load_golden(GOLDEN / f"{original.golden}.npz").outputs.items():
        image = random_image(size)
        compare(all_logits(model, image.flip(1) if original.is_bgr else image), sample)


def assert_other_logits(original: Original, **changes: Any) -> None:
    """The golden file tells the network with these changes from the original."""
    with pytest.raises(AssertionError):
        assert_same_logits(original, **changes)


def assert_recognised(original: Original) -> None:
    assert original.importer.recognise(original.checkpoint.tensors) == original.arch


def build(translation: Translation) -> nn.Module:
    model = create_model(**translation.architecture)
    load_weights(model, translation.weights, origin=translation.source)
    return model.eval()


@torch.no_grad()
def all_logits(model: nn.Module, image: Tensor) -> Tensor:
    """Logits of the network and, below them, of its auxiliary heads (1 + heads, K, H, W)."""
    size = (image.shape[-2], image.shape[-1])
    encoding = model.encode(image)  # type: ignore[operator]
    logits = [model.predictor(encoding.features, size).logits]  # type: ignore[operator]
    for head in model.auxiliary_heads:  # type: ignore[union-attr]
        logits.append(head(encoding.auxiliary_features, size))
    return torch.cat(logits)
