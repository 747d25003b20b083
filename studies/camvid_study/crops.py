"""Pictures to look at: one image through six networks, at places a rule has chosen.

Images: of the first seed that all rows have, those whose gain of all of DSRL over the fair baseline
is the median, the largest and the smallest. Place: the window in which the rows differ most.
"""

from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageDraw

from camvid_study.plan import MODEL_FILE
from camvid_study.rows import ALL, FULL_INPUT, FULL_LABEL, LOW_LABEL
from camvid_study.summary import Result, image_gains
from dualseg.checkpoints.model_files import load_model
from dualseg.core.files import new_file
from dualseg.data.dataset import FileDataset
from dualseg.inference.predictor import Predictor
from dualseg.visual.comparison_gallery import busiest_window
from dualseg.visual.overlay import Picture, paint

SHOWN = (LOW_LABEL, FULL_LABEL, ALL, FULL_INPUT)
WINDOW = 0.35  # of height and width
CAPTION = 14


def choose_images(gains: Mapping[str, float]) -> dict[str, str]:
    """Why -> image: median, largest and smallest gain; the first by name where several are."""
    ranked = sorted(gains, key=lambda name: (gains[name], name))
    middle = float(np.median(list(gains.values())))
    nearest = min(ranked, key=lambda name: (abs(gains[name] - middle), name))
    return {"median gain": nearest, "largest gain": ranked[-1], "smallest gain": ranked[0]}


def write_crops(results: Mapping[str, Result], dataset: FileDataset, target: Path) -> Path | None:
    """Writes one PNG: a line an image, columns image, truth and the rows of `SHOWN`.

    Args:
        results: Of one place.
        dataset: The split they were scored on.
        target: Ends in .png.

    Returns:
        The file; None where a row is missing, or no seed has the networks of all of them.
    """
    if not set(SHOWN) <= set(results):
        return None
    seeds = set.intersection(*(_seeds_at_hand(results[name]) for name in SHOWN))
    if not seeds:
        return None
    seed = min(seeds)
    gains = image_gains(results[ALL], results[FULL_LABEL], seed)
    places = {dataset.name(index): index for index in range(len(dataset))}
    models = [load_model(results[name].runs[seed] / MODEL_FILE) for name in SHOWN]
    predictors = [Predictor(model) for model in models]
    lines = []
    for why, name in choose_images(gains).items():
        if name in places:
            caption = f"{name}: {why}, {100 * gains[name]:+.1f} points, seed {seed}"
            lines.append(_line(dataset, places[name], predictors, caption))
    if not lines:
        return None
    picture = np.concatenate(lines)
    target.parent.mkdir(parents=True, exist_ok=True)
    with new_file(target) as temporary:
        Image.fromarray(picture).save(temporary, format="PNG")
    return target


def _seeds_at_hand(result: Result) -> set[int]:
    """Those whose network lies in the study's folder; records have none."""
    return {seed for seed, folder in result.runs.items() if (folder / MODEL_FILE).is_file()}


def _line(
    dataset: FileDataset, index: int, predictors: Sequence[Predictor], caption: str
) -> Picture:
    image, truth = dataset.image(index), dataset.label_map(index)
    predictions = [predictor.predict_pixels(image) for predictor in predictors]
    window = busiest_window(_differs(predictions, truth, dataset), share=WINDOW)
    labels = dataset.labels
    pictures = [np.asarray(image, np.uint8), paint(truth, labels)]
    pictures += [paint(preds, labels) for preds in predictions]
    names = ("image", "truth", *SHOWN)
    tiles = [
        _captioned(window.cut(picture), name) for picture, name in zip(pictures, names, strict=True)
    ]
    return _captioned(np.concatenate(tiles, axis=1), caption)


def _differs(
    predictions: Sequence[NDArray[np.uint8]], truth: NDArray[np.uint8], dataset: FileDataset
) -> NDArray[np.bool_]:
    differs = np.zeros(truth.shape, np.bool_)
    for preds in predictions[1:]:
        differs |= preds != predictions[0]
    return differs & (truth != dataset.labels.ignore_index)


def _captioned(picture: Picture, text: str, scale: int = 2) -> Picture:
    """Under a line of text; small pictures are enlarged without smoothing."""
    if picture.shape[1] < 200:
        picture = picture.repeat(scale, axis=0).repeat(scale, axis=1)
    frame = Image.new("RGB", (picture.shape[1] + 4, picture.shape[0] + CAPTION + 4), "white")
    frame.paste(Image.fromarray(np.ascontiguousarray(picture)), (2, CAPTION + 2))
    ImageDraw.Draw(frame).text((3, 1), text, fill="black")
    return np.asarray(frame)
