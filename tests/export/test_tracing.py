"""Programs that hold at other sizes than the one they were traced at."""

import math

import pytest
import torch
import torch.nn.functional as F
from torch import nn

from dualseg.core.errors import InputError
from dualseg.core.facts import ModelFacts, default_labels
from dualseg.core.geometry import normalize_images, shrink_images
from dualseg.export.cubic import resized
from dualseg.export.pieces import Preprocessing
from dualseg.export.shrinking import Shrink
from dualseg.export.tracing import example, trace


class Rounding(nn.Module):
    """Sizes rounded up in each way that model code does."""

    def forward(self, images):
        height, width = images.shape[-2:]
        padded = F.pad(images, (0, -width % 8, 0, -height % 8))
        first = padded[..., : -(-height // 4), : math.ceil(width / 4)]
        return first + images.mean()


class Grid(nn.Module):
    """A position grid resized as vision transformers do."""

    def __init__(self):
        super().__init__()
        self.grid = nn.Buffer(torch.randn(1, 2, 7, 7))

    def forward(self, images):
        size = (images.shape[-2] // 2, images.shape[-1] // 2)
        return F.interpolate(self.grid, size=size, mode="bicubic", antialias=True) * images.mean()


@pytest.mark.parametrize("module", [Rounding(), Grid()], ids=["rounding", "grid"])
def test_a_program_holds_at_other_sizes(module):
    program = trace(module, {"images": example(2, (20, 28))}, fixed=None)
    for batch, height, width in [(1, 20, 28), (3, 21, 30), (2, 64, 17), (1, 7, 5)]:
        images = torch.randn(batch, 2, height, width)
        torch.testing.assert_close(program.module()(images=images), module(images))


@pytest.mark.parametrize("module", [Rounding(), Grid()], ids=["rounding", "grid"])
def test_openvino_takes_it_at_other_sizes(module):
    openvino = pytest.importorskip("openvino")
    program = trace(module, {"images": example(2, (20, 28))}, fixed=None)
    settings = {"INFERENCE_PRECISION_HINT": "f32"}
    compiled = openvino.compile_model(openvino.convert_model(program), "CPU", settings)
    for batch, height, width in [(1, 20, 28), (3, 21, 30), (2, 64, 17)]:
        images = torch.randn(batch, 2, height, width)
        found = torch.from_numpy(compiled([images.numpy()])[0])
        torch.testing.assert_close(found, module(images), rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("old", [(14, 14), (7, 9)])
@pytest.mark.parametrize("new", [(6, 10), (40, 3), (7, 9), (14, 14)])
def test_bicubic_as_two_products_is_torchs_own(old, new):
    maps = torch.randn(2, 3, *old)
    expected = F.interpolate(maps, size=new, mode="bicubic", antialias=True, align_corners=False)
    torch.testing.assert_close(resized(maps, new), expected, rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("scale", [0.5, 0.75, 2 / 3, 0.25])
@pytest.mark.parametrize("size", [(9, 8), (16, 33), (97, 131), (333, 77)])
def test_the_preparation_is_the_one_of_training(scale, size):
    facts = ModelFacts({}, default_labels(2), input_scale=scale)
    images = torch.randint(256, (2, 3, *size), dtype=torch.uint8)
    expected = shrink_images(normalize_images(images, facts.mean, facts.std), scale)
    torch.testing.assert_close(Preprocessing(facts)(images), expected, rtol=0, atol=1e-4)


def test_a_scale_that_is_no_simple_fraction_is_refused():
    with pytest.raises(InputError, match="cannot be exported"):
        Shrink(0.4999)
