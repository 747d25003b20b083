"""Whose weights they are: every original network is recognised by its own importer and no other."""

from pathlib import Path

import pytest
import torch

from dualseg.checkpoints.foreign.checkpoint import ForeignCheckpoint
from dualseg.checkpoints.importers.catalog import IMPORTERS, find_importer, twins
from dualseg.core.errors import InputError
from reference.golden import load_golden
from reference.originals import GOLDEN

ORIGINALS = sorted(
    path.stem for path in GOLDEN.glob("*.npz") if path.stem.partition("_")[0] in IMPORTERS
)


def checkpoint(tensors):
    return ForeignCheckpoint(Path("weights.pth"), "", "torch zip", tensors, {})


def original(name):
    shapes = load_golden(GOLDEN / f"{name}.npz").shapes
    return checkpoint({key: torch.empty(shape, device="meta") for key, shape in shapes.items()})


def test_every_importer_has_its_name_and_describes_its_networks():
    for name, importer in IMPORTERS.items():
        assert name == importer.NAME
        assert all(isinstance(line, str) and line for line in importer.ARCHITECTURES.values())


@pytest.mark.parametrize("name", ORIGINALS)
def test_an_original_is_recognised_by_its_own_importer_alone(name):
    library, arch = find_importer(original(name), None, None)
    assert library == name.partition("_")[0]
    assert arch in IMPORTERS[library].ARCHITECTURES


def test_a_named_architecture_is_taken():
    weights = original("jfzhang_resnet_os16")
    assert find_importer(weights, None, None) == ("jfzhang", "resnet_os16")
    assert find_importer(weights, "jfzhang", "resnet_os8") == ("jfzhang", "resnet_os8")
    assert find_importer(weights, None, "resnet_os8") == ("jfzhang", "resnet_os8")
    assert twins("jfzhang", "resnet_os16") == ("resnet_os8",)
    assert twins("torchvision", "fcn_resnet50") == ()


def test_what_nobody_knows_is_described():
    unknown = checkpoint({"a.weight": torch.ones(1), "b.weight": torch.ones(1)})
    with pytest.raises(InputError, match=r"2 tensors begin with a\.weight, b\.weight"):
        find_importer(unknown, None, None)
    with pytest.raises(InputError, match="no segmentation network of vainf "):
        find_importer(unknown, "vainf", None)
