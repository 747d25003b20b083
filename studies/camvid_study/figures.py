"""Plots of the study: gain against cost, gains by row and by class, learning curves."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from camvid_study.latency import row_key
from camvid_study.plan import PARTS
from camvid_study.plotting import (
    COLORS,
    PER_PLOT,
    draw_points,
    name_rows,
    new_figure,
    prepare_matplotlib,
    save_svg,
)
from camvid_study.rows import ALL, BASELINES, FULL_LABEL
from camvid_study.summary import THIN, Difference, Place, Result
from dualseg.visual.run_files import points_of, split_history


def write_figures(
    results: Mapping[Place, Mapping[str, Result]],
    differences: Mapping[Place, Sequence[Difference]],
    latencies: Mapping[str, float],
    folder: Path,
) -> list[Path]:
    """Writes SVG files; those that lack their rows are left out.

    Raises:
        InputError: matplotlib is not installed.
    """
    prepare_matplotlib()
    folder.mkdir(parents=True, exist_ok=True)
    written = []
    for place, of_place in results.items():
        name = "_".join(str(part) for part in place)
        ablation = [r for r in of_place.values() if r.row.part in ("ablation", "scratch")]
        if ablation:
            path = folder / f"cost_{name}.svg"
            written += [
                save_svg(_cost(ablation, latencies), path),
                save_svg(_curves(ablation), folder / f"curves_{name}.svg"),
            ]
        for part in PARTS:
            own = [d for d in differences[place] if of_place[d.row].row.part == part]
            if own:
                written.append(save_svg(_gains(own), folder / f"gains_{part}_{name}.svg"))
        compared = [d for d in differences[place] if d.row in (FULL_LABEL, ALL)]
        compared = [each for each in compared if each.baseline in BASELINES]
        if compared:
            path = folder / f"classes_{name}.svg"
            class_names = next(iter(of_place.values())).class_names
            written.append(save_svg(_classes(compared, class_names), path))
    return written


def _cost(results: Sequence[Result], latencies: Mapping[str, float]) -> Any:
    """mIoU of every seed over GFLOPs, or over latency where all of it is measured."""
    figure, axes = new_figure()
    measured = [latencies.get(row_key(result.row)) for result in results]
    known = [time for time in measured if time is not None]
    costs = known if len(known) == len(results) else [_gflops(result) for result in results]
    for number, (result, cost) in enumerate(zip(results, costs, strict=True)):
        values, color = list(result.values("miou").values()), COLORS[number % PER_PLOT]
        axes.plot([cost] * len(values), values, ".", color=color, alpha=0.5)
        axes.plot([cost], [np.mean(values)], "D", color=color, label=result.row.name)
    axes.set_xlabel("latency, ms" if costs is known else "GFLOPs an image")
    axes.set_ylabel("mIoU (diamond: mean over seeds)")
    figure.legend(loc="outside upper center", ncols=3, frameon=False, fontsize=8)
    return figure


def _gains(differences: Sequence[Difference]) -> Any:
    """Points of mIoU of every row over its baselines, with both intervals."""
    figure, axes = new_figure(height=0.42 * len(differences) + 1.4)
    shown = {
        "over seeds": [each.over_seeds["miou"] for each in differences],
        "over images": [each.over_images for each in differences],
    }
    for number, (kind, intervals) in enumerate(shown.items()):
        rows = [row + 0.3 * (number - 0.5) for row in range(len(differences))]
        label = f"95 % interval {kind}"
        draw_points(axes, intervals, rows, color=COLORS[number], label=label)
    name_rows(axes, [f"{each.row} against {each.baseline}" for each in differences])
    axes.set_xlabel("points of mIoU")
    figure.legend(loc="outside upper center", ncols=3, frameon=False, fontsize=8)
    return figure


def _classes(differences: Sequence[Difference], class_names: Sequence[str]) -> Any:
    """Gain of each class in points, with its interval over seeds."""
    figure, axes = new_figure(height=0.42 * len(class_names) + 1.7)
    step = 0.8 / len(differences)
    for number, each in enumerate(differences):
        shown = [(i, each.over_seeds[n]) for i, n in enumerate(class_names) if n in each.over_seeds]
        rows = [i + step * (number - (len(differences) - 1) / 2) for i, _ in shown]
        label = f"{each.row} against {each.baseline}"
        color = COLORS[number % PER_PLOT]
        draw_points(axes, [interval for _, interval in shown], rows, color=color, label=label)
    name_rows(axes, [f"{name} (thin)" if name in THIN else name for name in class_names])
    axes.set_xlabel("points of IoU (bar: 95 % interval over seeds)")
    figure.legend(loc="outside upper center", ncols=2, frameon=False, fontsize=8)
    return figure


def _curves(results: Sequence[Result]) -> Any:
    """Validation mIoU over steps, mean over seeds, every seed faint."""
    figure, axes = new_figure()
    for number, result in enumerate(results):
        color = COLORS[number % PER_PLOT]
        runs = [points_of(split_history(run, "val"), "miou") for run in result.runs.values()]
        for points in runs:
            axes.plot(*_columns(points), color=color, alpha=0.25, lw=0.8)
        axes.plot(*_columns(_mean_points(runs)), color=color, label=result.row.name)
    axes.set_xlabel("step")
    axes.set_ylabel("val mIoU during training")
    figure.legend(loc="outside upper center", ncols=3, frameon=False, fontsize=8)
    return figure


def _mean_points(runs: Sequence[Sequence[tuple[float, float]]]) -> list[tuple[float, float]]:
    """At the steps that all runs have."""
    tables = [dict(points) for points in runs]
    steps = sorted(set.intersection(*(set(table) for table in tables))) if tables else []
    return [(step, float(np.mean([table[step] for table in tables]))) for step in steps]


def _columns(points: Sequence[tuple[float, float]]) -> tuple[list[float], list[float]]:
    return [x for x, _ in points], [y for _, y in points]


def _gflops(result: Result) -> float:
    return result.scores[result.seeds[0]]["gflops"]
