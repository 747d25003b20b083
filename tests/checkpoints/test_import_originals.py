"""Files as the original authors' programs save them: told apart, read, given other classes."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from dualseg.checkpoints.importers import coincheung, jfzhang, sanje2v, vainf
from dualseg.checkpoints.importers.catalog import IMPORTERS, find_importer, import_checkpoint
from dualseg.checkpoints.importers.class_tables import named_labels
from dualseg.checkpoints.importers.new_classes import replace_classes
from dualseg.models.catalog import create_model
from reference.golden import compare, load_golden
from reference.originals import GOLDEN, Original, all_logits
from reference.random_weights import random_image

JFZHANG = Original(jfzhang, "mobilenet_os16")
VAINF = Original(vainf, "deeplabv3plus_mobilenet_os16")
COINCHEUNG = Original(coincheung, "bisenetv1_squeeze")


IMPORTED = sorted(
    path.stem
    for path in GOLDEN.glob("*.npz")
    if path.stem.partition("_")[0] in {*IMPORTERS, "mmseg"}  # the rest are backbones and v1
)


@pytest.mark.parametrize("golden", IMPORTED)
def test_every_original_is_taken_for_one_library(golden: str):
    shapes = load_golden(GOLDEN / f"{golden}.npz").shapes
    tensors = {name: torch.empty(shape, device="meta") for name, shape in shapes.items()}
    library, arch = find_importer(Original.checkpoint_of(tensors), None, None)
    assert library.startswith(golden.partition("_")[0])
    assert arch in IMPORTERS[library].ARCHITECTURES


def containers(original: Original) -> dict[str, Any]:
    tensors = original.checkpoint.tensors
    if original is JFZHANG:
        return {"epoch": 50, "state_dict": tensors, "optimizer": {"state": {}}, "best_pred": 0.7}
    if original is VAINF:
        best = np.float64(0.721)
        return {"cur_itrs": 30000, "model_state": tensors, "best_score": best}
    return {f"module.{name}": tensor for name, tensor in tensors.items()}


@pytest.mark.parametrize("original", [JFZHANG, VAINF, COINCHEUNG], ids=lambda o: o.golden)
def test_a_file_as_its_program_saves_it_gives_the_same_logits(original: Original, tmp_path: Path):
    torch.save(containers(original), tmp_path / "best.pth")
    model, facts, report = import_checkpoint(tmp_path / "best.pth")
    assert (report.library, report.arch) == (original.importer.NAME, original.arch)
    assert facts.source is not None
    assert "SHA-256" in facts.source
    golden = load_golden(GOLDEN / f"{original.golden}.npz")
    for size, sample in golden.outputs.items():
        compare(all_logits(model.eval(), random_image(size)), sample)


@pytest.mark.parametrize("original", [JFZHANG, Original(sanje2v, "stage1")], ids=lambda o: o.golden)
def test_other_classes_fit_in_every_classifier(original: Original):
    translation = original.translate()
    old = translation.assumed_labels
    assert old is not None
    known = old.class_names[3]
    new = named_labels(("unheard of", known))
    replaced = replace_classes(translation.weights, translation.architecture, old, new)
    assert replaced.copied == (known,)
    model = create_model(**{**translation.architecture, "num_classes": 2})
    model.load_state_dict(replaced.weights)
