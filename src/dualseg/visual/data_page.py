"""A data set as a page: what it holds, in tables, and what training would see of it."""

from collections.abc import Mapping, Sequence
from html import escape

import numpy as np
from numpy.typing import NDArray

from dualseg.core.image_spec import Pixels, to_rgb
from dualseg.core.labels import LabelSpec
from dualseg.data.labels.statistics import (
    DatasetStatistics,
    describe_sizes,
    inverse_log_weights,
    median_frequency_weights,
)
from dualseg.visual.class_tables import class_label
from dualseg.visual.numbers import percent_text
from dualseg.visual.overlay import blend
from dualseg.visual.page import card, class_legend, fact_list, heading, render_page, section

SHEET_GAP = 6
BACKGROUND = 255


def data_page(
    name: str,
    labels: LabelSpec,
    statistics: Mapping[str, DatasetStatistics],
    notes: Sequence[str] = (),
) -> str:
    """HTML of one self-contained page.

    Args:
        name: Of the data set.
        labels: Its classes.
        statistics: By split, the training split first.
        notes: What was inferred, one line each.
    """
    training = next(iter(statistics.values()))
    facts = {
        split: f"{s.num_images} images: {describe_sizes(s)}" for split, s in statistics.items()
    }
    facts["Mean (RGB, 0 to 1)"] = ", ".join(f"{value:.4f}" for value in training.mean)
    facts["Deviation"] = ", ".join(f"{value:.4f}" for value in training.std)
    facts |= {f"Note {number}": note for number, note in enumerate(notes, start=1)}
    return render_page(
        f"{name}: data",
        [
            heading("data", name),
            fact_list(facts),
            section(
                "Classes",
                "Share of the labelled pixels, and the number of images that hold the class at "
                "all. The weights are two usual answers to rare classes, from the first split.",
                card(_class_table(labels, statistics)),
                class_legend(labels),
            ),
        ],
    )


def contact_sheet(
    samples: Sequence[tuple[Pixels, NDArray[np.uint8]]],
    labels: LabelSpec,
    *,
    columns: int = 4,
) -> NDArray[np.uint8]:
    """Crops with their labels on top, each beside the crop alone, in rows on white.

    Args:
        samples: (H, W, C) and (H, W) ids, all of one size.
        labels: Classes.
        columns: Samples in a row.
    """
    tiles = [
        np.concatenate([to_rgb(image), blend(image, ids, labels)], axis=1) for image, ids in samples
    ]
    height, width = tiles[0].shape[:2]
    rows = -(-len(tiles) // columns)
    columns = min(columns, len(tiles))
    size = (
        rows * (height + SHEET_GAP) + SHEET_GAP,
        columns * (width + SHEET_GAP) + SHEET_GAP,
        3,
    )
    sheet = np.full(size, BACKGROUND, np.uint8)
    for number, tile in enumerate(tiles):
        top = SHEET_GAP + (number // columns) * (height + SHEET_GAP)
        left = SHEET_GAP + (number % columns) * (width + SHEET_GAP)
        sheet[top : top + height, left : left + width] = tile
    return sheet


def _class_table(labels: LabelSpec, statistics: Mapping[str, DatasetStatistics]) -> str:
    training = next(iter(statistics.values()))
    heads = "".join(
        f'<th scope="col" class="wide">{escape(split)}</th><th class="number">images</th>'
        for split in statistics
    )
    logarithmic, median = inverse_log_weights(training), median_frequency_weights(training)
    rows = []
    for index, (name, color) in enumerate(zip(labels.class_names, labels.palette, strict=True)):
        cells = "".join(_share_cells(s, index) for s in statistics.values())
        weights = f'<td class="number">{logarithmic[index]:.2f}</td>'
        weights += f'<td class="number">{median[index]:.2f}</td>'
        rows.append(f'<tr><th scope="row">{class_label(name, color)}</th>{cells}{weights}</tr>')
    ignored = "".join(
        f'<td class="wide">{percent_text(s.ignored_pixels / max(1, _all(s)), 2)} of all pixels</td>'
        "<td></td>"
        for s in statistics.values()
    )
    return (
        f'<table><thead><tr><th scope="col">Class</th>{heads}<th class="number">1/ln weight</th>'
        f'<th class="number">median weight</th></tr></thead><tbody>{"".join(rows)}'
        f'<tr><th scope="row">ignored</th>{ignored}<td></td><td></td></tr></tbody></table>'
    )


def _share_cells(statistics: DatasetStatistics, index: int) -> str:
    labelled = max(1, sum(statistics.pixels_per_class))
    share = statistics.pixels_per_class[index] / labelled
    bar = f'<div class="bar"><span style="width:{100 * share:.1f}%"></span></div>'
    return (
        f'<td class="wide">{percent_text(share, 2)}{bar}</td>'
        f'<td class="number">{statistics.images_per_class[index]}</td>'
    )


def _all(statistics: DatasetStatistics) -> int:
    return sum(statistics.pixels_per_class) + statistics.ignored_pixels
