"""The tables of the study, as Markdown and as JSON."""

from collections.abc import Mapping, Sequence
from dataclasses import asdict
from typing import Any

from camvid_study.intervals import Interval
from camvid_study.latency import row_key
from camvid_study.over_hosts import MEASURES, MeanDifference, mean_differences
from camvid_study.plan import PARTS
from camvid_study.summary import FEWEST_SEEDS, THIN, Difference, Place, Result, difference, shares
from dualseg.visual.comparison_tables import Cells, markdown_table

MINUS = "−"


def differences_of(results: Mapping[str, Result]) -> list[Difference]:
    """Every row against each of its baselines that is there."""
    return [
        found
        for result in results.values()
        for name in result.row.against
        if name in results and (found := difference(result, results[name])) is not None
    ]


def markdown_of(
    results: Mapping[Place, Mapping[str, Result]],
    differences: Mapping[Place, Sequence[Difference]],
    latencies: Mapping[str, float],
    more: str = "",
) -> str:
    """All tables, place by place and part by part, and `more` below them."""
    parts = ["# Tables of the study\n", _how_to_read()]
    for place, of_place in results.items():
        for part in PARTS:
            shown = _shown(of_place, part)
            if not shown:
                continue
            parts.append(f"## {part}: {_describe(place, shown)}\n")
            parts.append(markdown_table(score_cells(shown, latencies)))
            own = [each for each in differences[place] if of_place[each.row].row.part == part]
            if own:
                parts.append(markdown_table(difference_cells(own)))
            if part == "ablation":
                parts += [_share_line(found) for found in shares(of_place)]
            parts.append(markdown_table(class_cells(shown)))
    means = mean_differences(results)
    if means:
        parts += ["## ablation: mean of the hosts\n", _how_to_read_means()]
        parts.append(markdown_table(mean_cells(means)))
    return "\n".join([*parts, *([more] if more else [])])


def json_of(
    results: Mapping[Place, Mapping[str, Result]],
    differences: Mapping[Place, Sequence[Difference]],
    latencies: Mapping[str, float],
) -> dict[str, Any]:
    """The same as plain values."""
    places = []
    for place, of_place in results.items():
        rows = [_plain_row(result, latencies) for result in of_place.values()]
        compared = [asdict(each) for each in differences[place]]
        found = [_plain_share(share) for share in shares(of_place)]
        epochs, size, host = place
        places.append(
            {
                "epochs": epochs,
                "size": size,
                "host": host,
                "rows": rows,
                "differences": compared,
                "label_shares": found,
            }
        )
    return {"places": places, "means": [asdict(each) for each in mean_differences(results)]}


def score_cells(results: Sequence[Result], latencies: Mapping[str, float]) -> Cells:
    """Head, and one line a row."""
    head = ["", "seeds", "mIoU", "boundary IoU", "thin classes"]
    lines = [[*head, "GFLOPs", "parameters", "latency", "hours"]]
    for result in results:
        scores = result.scores[result.seeds[0]]
        latency = latencies.get(row_key(result.row))
        lines.append(
            [
                result.row.name,
                str(len(result.seeds)),
                *(_score(result, measure) for measure in ("miou", "boundary", "thin")),
                f"{scores['gflops']:.2f}",
                f"{scores['parameters'] / 1e6:.2f} M",
                "–" if latency is None else f"{latency:.1f} ms",
                "–" if result.hours is None else f"{result.hours:.2f}",
            ]
        )
    return lines


def difference_cells(differences: Sequence[Difference]) -> Cells:
    """Head, and one line a pair, in points."""
    head = ["points", "against", "seeds", "mIoU, over seeds", "over images"]
    lines = [[*head, "boundary IoU, over seeds", "thin classes, over seeds"]]
    for each in differences:
        boundary, thin = (_points_or_dash(each.over_seeds, name) for name in ("boundary", "thin"))
        miou, images = points(each.over_seeds["miou"]), points(each.over_images)
        lines.append([each.row, each.baseline, str(len(each.seeds)), miou, images, boundary, thin])
    return lines


def mean_cells(differences: Sequence[MeanDifference]) -> Cells:
    """Head, and one line a pair, in points."""
    head = ["points, mean of the hosts", "against", "input", "hosts", "seeds"]
    lines = [[*head, "mIoU, over seeds", "boundary IoU, over seeds", "thin classes, over seeds"]]
    for each in differences:
        lines.append(
            [
                each.row,
                each.baseline,
                each.size,
                ", ".join(each.hosts),
                str(each.seeds),
                *(_points_or_dash(each.over_seeds, name) for name in MEASURES),
            ]
        )
    return lines


def class_cells(results: Sequence[Result]) -> Cells:
    """Head, and one line a row; a column a class, thin ones last."""
    names = sorted(results[0].class_names, key=lambda name: name in THIN)
    lines = [["IoU", *(f"{name} (thin)" if name in THIN else name for name in names)]]
    for result in results:
        lines.append([result.row.name, *(_number(result.mean(name)) for name in names)])
    return lines


def points(interval: Interval) -> str:
    """`+1.2 (+0.3 to +2.1)` in hundredths, the interval where there is one.

    An end that is 0.0 only by rounding is given two digits: on which side of 0 it lies is what the
    interval is for.
    """
    value = _signed(interval.value)
    if interval.low is None or interval.high is None:
        return value
    return f"{value} ({_end(interval.low)} to {_end(interval.high)})"


def _end(value: float) -> str:
    return _signed(value) if round(100 * value, 1) else _signed(value, digits=2)


def _points_or_dash(intervals: Mapping[str, Interval], measure: str) -> str:
    interval = intervals.get(measure)
    return "–" if interval is None else points(interval)


def _shown(of_place: Mapping[str, Result], part: str) -> list[Result]:
    """The part's rows, after those they are compared with."""
    own = [r for r in of_place.values() if r.row.part == part and not r.row.is_step]
    names = {name for result in own for name in result.row.against}
    return [r for r in of_place.values() if r.row.name in names or r in own]


def _describe(place: Place, shown: Sequence[Result]) -> str:
    """Host, input and length."""
    epochs, size, host = place
    seen = shown[0].row.input_name if all(r.row.is_full_input for r in shown) else size
    return f"{host}, {seen} in, {epochs} epochs"


def _how_to_read() -> str:
    return (
        "Whole images, last checkpoint (moving average), nothing chosen on val. ± is the sample "
        "standard deviation over seeds. Differences are in points (hundredths), paired by seed, "
        "with 95 % intervals: over seeds by Student's t, over images by a bootstrap of blocks of "
        "ten frames, the same for both rows. A pair with one seed has no interval over seeds.\n"
    )


def _how_to_read_means() -> str:
    return (
        f"Hosts with at least {FEWEST_SEEDS} seeds of both rows, each counted alike. The 95 % "
        "interval is of these hosts' mean over other seeds (Welch), not of hosts in general. Over "
        "both sizes a host counts once for each of them.\n"
    )


def _share_line(share: Mapping[str, Any]) -> str:
    text = f"Of the gain of {share['row']} over low label, {points(share['gain'])}, the full label"
    text += f" alone gives {points(share['label'])}"
    if share["share"] is None:
        return f"{text}; the gain is not clearly above 0, so a share means nothing.\n"
    return f"{text}: {100 * share['share']:.0f} %.\n"


def _plain_share(share: Mapping[str, Any]) -> dict[str, Any]:
    return {**share, "gain": asdict(share["gain"]), "label": asdict(share["label"])}


def _plain_row(result: Result, latencies: Mapping[str, float]) -> dict[str, Any]:
    scores = result.scores[result.seeds[0]]
    measures = ("miou", "boundary", "thin", *result.class_names)
    return {
        "name": result.row.name,
        "part": result.row.part,
        "seeds": result.seeds,
        "scores": {name: list(result.values(name).values()) for name in measures},
        "gflops": scores["gflops"],
        "parameters": scores["parameters"],
        "latency_ms": latencies.get(row_key(result.row)),
        "hours": result.hours,
    }


def _score(result: Result, measure: str) -> str:
    value, spread = result.mean(measure), result.spread(measure)
    return _number(value) + ("" if spread is None else f" ± {spread:.3f}")


def _number(value: float | None) -> str:
    return "–" if value is None else f"{value:.3f}"


def _signed(value: float, digits: int = 1) -> str:
    rounded = round(100 * value, digits)
    return f"{rounded:+.{digits}f}".replace("-", MINUS) if rounded else "0.0"
