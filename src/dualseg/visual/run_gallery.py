"""The galleries of one run: image, truth, prediction, mistakes."""

from functools import partial
from typing import Any

from dualseg.visual.budget import PictureBudget
from dualseg.visual.numbers import percent_text
from dualseg.visual.overlay import error_map, paint
from dualseg.visual.page import class_legend, section, shot, tile
from dualseg.visual.pictures import flat_picture, photo
from dualseg.visual.run_files import GalleryImage, StoredEvaluation


def gallery_part(
    evaluation: StoredEvaluation, role: str, title: str, lead: str, budget: PictureBudget
) -> str:
    """The images a run keeps in one role, with their mistakes, as far as the page has room."""
    shots = budget.fill(
        (image.name, partial(_shot, number, image, evaluation))
        for number, image in enumerate(evaluation.gallery)
        if role in image.roles
    )
    return section(title, lead, class_legend(evaluation.labels), *shots) if shots else ""


def _shot(number: int, image: GalleryImage, evaluation: StoredEvaluation) -> str:
    seen, truth, preds = image.read("input"), image.read("truth"), image.read("prediction")
    labels = evaluation.labels
    valid = truth != labels.ignore_index
    wrong = float((truth != preds)[valid].mean()) if valid.any() else 0.0
    mistakes = error_map(truth, preds, ignore_index=labels.ignore_index)
    tiles = [
        tile(photo(seen, "Input"), "Input", f"as the network sees it, {_size(seen)}"),
        tile(flat_picture(paint(truth, labels), "Truth"), "Truth", _size(truth)),
        tile(flat_picture(paint(preds, labels), "Prediction"), "Prediction", _size(preds)),
        tile(
            flat_picture(mistakes, "Mistakes"),
            "Mistakes",
            f"red, {percent_text(wrong)}; ignored hatched",
        ),
    ]
    score = "" if image.miou is None else f"mIoU {image.miou:.3f}"
    return shot(number, image.name, score, tiles)


def _size(picture: Any) -> str:
    return f"{picture.shape[0]}×{picture.shape[1]}"
