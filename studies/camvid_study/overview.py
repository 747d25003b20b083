"""The study in one picture: what each step towards DSRL gives, wherever it was trained."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from camvid_study.intervals import Interval
from camvid_study.over_hosts import mean_differences
from camvid_study.plotting import (
    COLORS,
    draw_points,
    name_rows,
    new_row,
    prepare_matplotlib,
    save_svg,
)
from camvid_study.rows import ALL, FULL_INPUT, FULL_LABEL, LOW_LABEL, SSSR
from camvid_study.summary import FEWEST_SEEDS, Difference, Place, Result

STEPS = {
    (FULL_LABEL, LOW_LABEL): "the full label\nover the shrunk one",
    (SSSR, FULL_LABEL): "SSSR\nover the full label",
    (ALL, SSSR): "SISR and FA\nover SSSR",
    (FULL_INPUT, FULL_LABEL): "the whole picture\nover half of it",
}
"""Row and baseline -> title; the first three lead from the paper's baseline to all of DSRL."""
MEAN = "mean of those above"

Found = dict[tuple[str, str], dict[str, Interval]]
"""Step -> row of the picture -> points of mIoU."""


def write_overview(
    results: Mapping[Place, Mapping[str, Result]],
    differences: Mapping[Place, Sequence[Difference]],
    folder: Path,
) -> list[Path]:
    """Writes `overview_EPOCHS.svg`, where a step was trained with enough seeds in two places.

    Raises:
        InputError: matplotlib is not installed.
    """
    prepare_matplotlib()
    folder.mkdir(parents=True, exist_ok=True)
    written = []
    for epochs in dict.fromkeys(place[0] for place in results):
        found = steps_of(
            {place: rows for place, rows in results.items() if place[0] == epochs}, differences
        )
        if any(MEAN in intervals for intervals in found.values()):
            written.append(save_svg(_draw(found), folder / f"overview_{epochs}.svg"))
    return written


def steps_of(
    results: Mapping[Place, Mapping[str, Result]],
    differences: Mapping[Place, Sequence[Difference]],
) -> Found:
    """Each step of `STEPS` at the places that have `FEWEST_SEEDS` of it, and on their mean.

    Args:
        results: Of one number of epochs.
        differences: At least those of its places.
    """
    found: Found = {step: {} for step in STEPS}
    for place in results:
        for each in differences[place]:
            step = each.row, each.baseline
            if step in found and len(each.seeds) >= FEWEST_SEEDS:
                _, size, host = place
                found[step][f"{host}, {size}"] = each.over_seeds["miou"]
    # Those over both sizes come last, and are the ones that stay.
    means = {(each.row, each.baseline): each for each in mean_differences(results)}
    for step, intervals in found.items():
        if len(intervals) > 1 and step in means:
            intervals[MEAN] = means[step].over_seeds["miou"]
    return found


def _draw(found: Found) -> Any:
    names = [*dict.fromkeys(name for each in found.values() for name in each if name != MEAN), MEAN]
    figure, row = new_row(len(found), width=10.5, height=0.36 * len(names) + 1.3)
    for axes, (step, intervals) in zip(row, found.items(), strict=True):
        for name, interval in intervals.items():
            color = COLORS[1] if name == MEAN else COLORS[0]
            draw_points(axes, [interval], [names.index(name)], color=color)
        name_rows(axes, names)
        axes.set_title(STEPS[step], fontsize=9)
    figure.supxlabel("points of mIoU (bar: 95 % interval over seeds)", fontsize=9)
    return figure
