"""What a perfect answer at low resolution would score: how much the label's size can matter at all.

The low-label rows learn from every second row and column of the label. Were a network to give
exactly that, enlarged as its logits are, it would score this.
"""

from pathlib import Path
from typing import Any

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor

from dualseg.core.files import write_json
from dualseg.core.geometry import Size, resize_logits, shrink_label_maps
from dualseg.data.dataset import SegmentationDataset
from dualseg.inference.label_maps import label_map_of
from dualseg.metrics.confusion import confusion_matrix
from dualseg.metrics.scores import scores_from_confusion

CEILING_FILE = "ceiling.json"


def write_ceiling(dataset: SegmentationDataset, out: Path) -> dict[str, Any]:
    """Writes `OUT/ceiling.json`: mIoU and IoU of each class for both answers; returns it.

    `as sampled` is the answer the low-label rows are taught. Its pixels are taken half a pixel
    below and to the right of the centres of those they stand for; `at its place` shifts the
    enlarged answer back, which smooths it too.
    """
    answers = {"as sampled": resize_logits, "at its place": at_its_place}
    content = {name: _score(dataset, answer) for name, answer in answers.items()}
    write_json(out / CEILING_FILE, content)
    return content


def _score(dataset: SegmentationDataset, answer: Any) -> dict[str, Any]:
    labels = dataset.labels
    total = np.zeros((labels.num_classes, labels.num_classes), np.int64)
    for index in range(len(dataset)):
        target = dataset.label_map(index)
        ids = torch.from_numpy(target.astype(np.int64))[None]
        low = shrink_label_maps(ids, (target.shape[0] // 2, target.shape[1] // 2))
        logits = answer(_one_hot(low, labels.num_classes), target.shape)
        total += confusion_matrix(
            target, label_map_of(logits), labels.num_classes, ignore_index=labels.ignore_index
        )
    scores = scores_from_confusion(total)
    names = labels.class_names
    return {"miou": scores.miou, "iou": dict(zip(names, scores.iou_per_class, strict=True))}


def _one_hot(ids: Tensor, num_classes: int) -> Tensor:
    """(B, h, w) -> (B, K, h, w); ignored pixels are 0 in every class."""
    known = torch.where(ids < num_classes, ids, num_classes)
    return F.one_hot(known, num_classes + 1)[..., :num_classes].permute(0, 3, 1, 2).float()


def at_its_place(low: Tensor, size: Size) -> Tensor:
    """(B, K, h, w) -> (B, K, *size), half a pixel further down and to the right than enlarged."""
    framed = F.pad(resize_logits(low, size), (1, 0, 1, 0), mode="replicate")
    return F.avg_pool2d(framed, 2, stride=1)
