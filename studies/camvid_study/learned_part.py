"""What SSSR's learned part does in a finished network: the answers with it and without it.

Our label decoder adds what it has learned to the host's own logits, enlarged. Without its share a
network answers as its host would, from the very same weights.
"""

from collections.abc import Mapping, Sequence
from copy import deepcopy
from pathlib import Path
from typing import Any, cast

import numpy as np
from torch import nn

from camvid_study.plan import MODEL_FILE
from camvid_study.rows import SIZES
from camvid_study.shrunk import SHRUNK_FOLDER, make_shrunk
from camvid_study.summary import Place, Result, read_results
from dualseg.checkpoints.json_files import read_json
from dualseg.checkpoints.model_files import load_model
from dualseg.core.errors import InputError
from dualseg.core.files import write_json
from dualseg.data.dataset import SegmentationDataset
from dualseg.data.datasets.camvid import open_camvid
from dualseg.inference.predictor import Predictor
from dualseg.metrics.confusion import confusion_matrix
from dualseg.metrics.scores import scores_from_confusion
from dualseg.models.dsrl.sssr_decoder import SSSRDecoder
from dualseg.visual.comparison_tables import Cells

LEARNED_FILE = "learned_part.json"

Shares = Mapping[str, float]
"""`changed`, `mended`, `spoilt`: of the known pixels; `miou` and `miou_without`."""


def write_learned_parts(out: Path, data: Path) -> dict[str, Shares]:
    """Adds the networks at hand to `OUT/learned_part.json`, run by run; returns all it holds.

    Args:
        out: The study's folder.
        data: CamVid.

    Raises:
        InputError: No finished network here has such a decoder.
    """
    found = read_learned_parts(out)
    for (_, size, _), of_place in read_results(out).items():
        root = make_shrunk(data, out / SHRUNK_FOLDER) if SIZES[size].shrunk else data
        for folder in [run for result in of_place.values() for run in result.runs.values()]:
            run = folder.relative_to(out).as_posix()
            if run in found or not (folder / MODEL_FILE).is_file():
                continue
            model = load_model(folder / MODEL_FILE)
            if _decoder(model) is not None:
                found[run] = compare_without(model, open_camvid(root, "val"))
                write_json(out / LEARNED_FILE, found)
    if not found:
        raise InputError(f"no network in {out} adds something learned to its host's logits")
    return found


def read_learned_parts(out: Path) -> dict[str, Shares]:
    """Run -> its shares; empty before the first measurement."""
    path = out / LEARNED_FILE
    return dict(read_json(path)) if path.is_file() else {}


def compare_without(model: nn.Module, dataset: SegmentationDataset) -> Shares:
    """How much the learned part changes, mends and spoils.

    Args:
        model: Pruned, with a label decoder that adds to enlarged logits.
        dataset: Whose whole images are predicted, at the size they have.
    """
    plain = without_learned_part(model)
    labels = dataset.labels
    predictors = [Predictor(model), Predictor(plain)]
    totals = [np.zeros((labels.num_classes, labels.num_classes), np.int64) for _ in predictors]
    changed = mended = spoilt = known = 0
    for index in range(len(dataset)):
        image, target = dataset.image(index), dataset.label_map(index)
        preds, before = (predictor.predict_pixels(image) for predictor in predictors)
        for total, answer in zip(totals, (preds, before), strict=True):
            total += confusion_matrix(
                target, answer, labels.num_classes, ignore_index=labels.ignore_index
            )
        counts = target != labels.ignore_index
        differs = counts & (preds != before)
        known += int(counts.sum())
        changed += int(differs.sum())
        mended += int((differs & (preds == target)).sum())
        spoilt += int((differs & (before == target)).sum())
    miou, miou_without = (scores_from_confusion(total).miou for total in totals)
    return {
        "changed": changed / known,
        "mended": mended / known,
        "spoilt": spoilt / known,
        "miou": miou,
        "miou_without": miou_without,
    }


def without_learned_part(model: nn.Module) -> nn.Module:
    """A copy whose decoder adds nothing to its host's enlarged logits."""
    plain = deepcopy(model)
    decoder = _decoder(plain)
    assert decoder is not None
    for weight in decoder.predict.parameters():
        nn.init.zeros_(weight)
    return plain


def learned_cells(
    learned: Mapping[str, Shares], results: Mapping[Place, Mapping[str, Result]], out: Path
) -> Cells:
    """Head, and one line a row; means over the seeds. The head alone where nothing is known."""
    lines = [["", "host", "input", "seeds", "changed", "mended", "spoilt", "mIoU", "without"]]
    for (_, size, host), of_place in results.items():
        for name, result in of_place.items():
            runs = [run.relative_to(out).as_posix() for run in result.runs.values()]
            known = [learned[run] for run in runs if run in learned]
            if known:
                shares = (f"{100 * _mean(known, key):.2f} %" for key in _SHARES)
                scores = (f"{_mean(known, key):.3f}" for key in ("miou", "miou_without"))
                lines.append([name, host, size, str(len(known)), *shares, *scores])
    return lines


_SHARES = ("changed", "mended", "spoilt")


def _mean(known: Sequence[Shares], key: str) -> float:
    return sum(shares[key] for shares in known) / len(known)


def _decoder(model: nn.Module) -> SSSRDecoder | None:
    decoder = cast(Any, model).predictor
    return decoder if isinstance(decoder, SSSRDecoder) and decoder.coarse is not None else None
