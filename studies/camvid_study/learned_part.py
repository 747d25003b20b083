"""What SSSR's learned part does in a finished network: the answers with it and without it.

Our default label decoder adds what it has learned to the host's own logits, enlarged. Without its
share a network answers as its host would, from the very same weights. Pixel shuffle gives each
place of its map a block of logits; without what tells the pixels of a block apart, it is a
classifier at the map's size, its logits enlarged as a host's are.
"""

from collections.abc import Mapping
from copy import deepcopy
from typing import Any, cast

import numpy as np
from torch import nn

from camvid_study.at_hand import Numbers, mean_of, measured_of
from camvid_study.summary import Place, Result
from dualseg.data.dataset import SegmentationDataset
from dualseg.inference.predictor import Predictor
from dualseg.metrics.confusion import confusion_matrix
from dualseg.metrics.scores import scores_from_confusion
from dualseg.models.dsrl.sssr_decoder import Bilinear, SSSRDecoder, SssrKind
from dualseg.visual.comparison_tables import Cells

LEARNED_FILE = "learned_part.json"
KINDS: tuple[SssrKind, ...] = ("deconvolution", "pixel_shuffle")


def measure_learned_part(model: nn.Module, dataset: SegmentationDataset) -> Numbers | None:
    """`compare_without`; None where the decoder is another, or there is none."""
    return None if _decoder(model) is None else compare_without(model, dataset)


def compare_without(model: nn.Module, dataset: SegmentationDataset) -> Numbers:
    """How much the learned part changes, mends and spoils.

    Args:
        model: Pruned, with a label decoder that `without_learned_part` knows.
        dataset: Whose whole images are predicted, at the size they have.

    Returns:
        Shares of the known pixels: `changed`, `mended`, `spoilt`; `miou` and `miou_without`.
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
    """A copy whose label decoder gives no detail of its own.

    The default adds nothing to its host's enlarged logits; pixel shuffle's blocks are averaged, and
    the averages enlarged.
    """
    plain = deepcopy(model)
    decoder = _decoder(plain)
    assert decoder is not None
    if decoder.kind == "pixel_shuffle":
        block = 2 * decoder.in_stride // decoder.enlarge
        decoder.predict = nn.Sequential(decoder.predict, nn.AvgPool2d(block), Bilinear(block))
    else:
        for weight in decoder.predict.parameters():
            nn.init.zeros_(weight)
    return plain


def learned_cells(results: Mapping[Place, Mapping[str, Result]]) -> Cells:
    """Head, and one line a row; means over the seeds. The head alone where nothing was measured."""
    lines = [
        ["", "host", "input", "epochs", "seeds", "changed", "mended", "spoilt", "mIoU", "without"]
    ]
    for (epochs, size, host), of_place in results.items():
        for name, result in of_place.items():
            known = measured_of(result, LEARNED_FILE)
            if known:
                changes = ("changed", "mended", "spoilt")
                shares = (f"{100 * mean_of(known, key):.2f} %" for key in changes)
                scores = (f"{mean_of(known, key):.3f}" for key in ("miou", "miou_without"))
                lines.append([name, host, size, str(epochs), str(len(known)), *shares, *scores])
    return lines


def _decoder(model: nn.Module) -> SSSRDecoder | None:
    decoder = cast(Any, model).predictor
    known = isinstance(decoder, SSSRDecoder) and decoder.kind in KINDS
    return decoder if known else None
