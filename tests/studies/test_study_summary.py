"""Tables from made-up runs whose numbers are worked out by hand."""

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from camvid_study.crops import choose_images
from camvid_study.figures import write_figures
from camvid_study.intervals import Interval
from camvid_study.learned_part import learned_cells
from camvid_study.plan import rows_of
from camvid_study.report import write_report
from camvid_study.rows import Row
from camvid_study.summary import (
    Result,
    declared_rows,
    difference,
    image_gains,
    label_share,
    shares,
)
from camvid_study.tables import class_cells, difference_cells, differences_of, points, score_cells
from dualseg.core.errors import InputError

NAMES = ("road", "pole")


def scores(road: int, pole: int, *, images: int = 2) -> dict[str, Any]:
    """Every image has 100 pixels of road and 10 of pole; so many are right, none is wrong."""
    one = {"right": [road, pole], "truth": [100, 10], "predicted": [road, pole]}
    rims = {"rim_both": [road // 2, pole], "rim_either": [50, 10]}
    iou, rim = [road / 100, pole / 10], [road // 2 / 50, pole / 10]
    return {
        "miou": sum(iou) / 2,
        "iou_per_class": dict(zip(NAMES, iou, strict=True)),
        "boundary_iou": {"mean": sum(rim) / 2, "per_class": {}},
        "gflops": 1.5,
        "parameters": 2_000_000,
        "images": [{"name": f"image_{i}", **one, **rims} for i in range(images)],
    }


def result(name: str, *of_seeds: dict[str, Any], row: Row | None = None) -> Result:
    rows = rows_of("ablation", sizes=["90x120"], hosts=["resnet18"])
    found = row or next(row for row in rows if row.name == name)
    folders = {seed: Path(f"/nowhere/{name}/seed_{seed}") for seed in range(len(of_seeds))}
    return Result(found, 60, folders, dict(enumerate(of_seeds)), 0.5)


LOW = result("low label", scores(80, 2), scores(82, 2), scores(84, 2))  # 0.50, 0.51, 0.52
FULL = result("full label", scores(80, 4), scores(82, 4), scores(84, 4))  # 0.60, 0.61, 0.62
DSRL = result("+SSSR +SISR +FA", scores(90, 5), scores(90, 5), scores(96, 5))  # 0.70, 0.70, 0.73


def test_means_and_spreads():
    assert LOW.mean("miou") == pytest.approx(0.51)
    assert LOW.spread("miou") == pytest.approx(0.01)
    assert LOW.mean("thin") == pytest.approx(0.2)
    assert LOW.mean("boundary") == pytest.approx((0.82 + 0.2) / 2)
    assert LOW.mean("road") == pytest.approx(0.82)
    assert replace(LOW, scores={0: LOW.scores[0]}).spread("miou") is None


def test_differences_are_paired_by_seed():
    found = difference(DSRL, FULL)

    assert found is not None
    miou = found.over_seeds["miou"]  # 0.10, 0.09, 0.11
    assert miou.value == pytest.approx(0.10)
    assert miou.low == pytest.approx(0.10 - 4.303 * 0.01 / 3**0.5)
    assert found.over_images.value == pytest.approx(0.10)
    assert found.over_seeds["pole"].value == pytest.approx(0.1)
    assert found.seeds == (0, 1, 2)


def test_only_common_seeds_are_compared():
    one = replace(DSRL, scores={1: DSRL.scores[1], 7: DSRL.scores[0]})

    found = difference(one, FULL)

    assert found is not None
    assert found.seeds == (1,)
    assert found.over_seeds["miou"].value == pytest.approx(0.09)
    assert difference(replace(DSRL, scores={7: DSRL.scores[0]}), FULL) is None


def test_scores_of_other_images_are_not_compared():
    other = result("full label", scores(80, 4, images=3))

    with pytest.raises(InputError, match="scored on different images"):
        difference(DSRL, other)


def test_the_share_of_the_better_label():
    # DSRL gains 0.20, 0.19, 0.21 over low label, the full label alone 0.10 each: a half.
    found = label_share({each.row.name: each for each in (LOW, FULL, DSRL)}, DSRL.row.name)

    assert found is not None
    assert found["share"] == pytest.approx(0.5)
    assert found["gain"].value == pytest.approx(0.2)


def test_a_gain_that_may_be_nothing_has_no_share():
    chance = result("+SSSR +SISR +FA", scores(80, 1), scores(82, 9), scores(84, 1))
    found = label_share({each.row.name: each for each in (LOW, FULL, chance)}, chance.row.name)

    assert found is not None
    assert found["share"] is None
    assert shares({"low label": LOW}) == []


def test_the_share_is_of_the_seeds_all_three_rows_have_and_of_three_at_least():
    low, full = (replace(each, scores={**each.scores, 7: scores(0, 0)}) for each in (LOW, FULL))
    found = label_share({each.row.name: each for each in (low, full, DSRL)}, DSRL.row.name)
    assert found is not None
    assert found["label"].value == pytest.approx(0.1)

    two = replace(DSRL, scores={seed: DSRL.scores[seed] for seed in (0, 1)})
    assert label_share({each.row.name: each for each in (LOW, FULL, two)}, DSRL.row.name) is None


def test_tables_are_in_points_with_their_intervals():
    results = {each.row.name: each for each in (LOW, FULL, DSRL)}

    lines = difference_cells(differences_of(results))

    assert lines[1][:4] == ["full label", "low label", "3", "+10.0 (+10.0 to +10.0)"]
    assert lines[3][:4] == ["+SSSR +SISR +FA", "full label", "3", "+10.0 (+7.5 to +12.5)"]
    costs = score_cells([LOW], {"90x120/resnet18/low label": 3.25})[1]
    assert costs[:5] == ["low label", "3", "0.510 ± 0.010", "0.510 ± 0.010", "0.200 ± 0.000"]
    assert costs[5:] == ["1.50", "2.00 M", "3.2 ms", "0.50"]


def test_classes_stand_side_by_side_thin_ones_last():
    head, line = class_cells([LOW])

    assert head == ["IoU", "road", "pole (thin)"]
    assert line == ["low label", "0.820", "0.200"]


def test_a_single_seed_shows_no_interval():
    found = difference(replace(DSRL, scores={0: DSRL.scores[0]}), FULL)

    assert found is not None
    assert points(found.over_seeds["miou"]) == "+10.0"


@pytest.mark.parametrize(
    ("low", "high", "shown"),
    [
        (-0.0039, -0.0004, "−0.2 (−0.4 to −0.04)"),
        (0.0004, 0.02, "−0.2 (+0.04 to +2.0)"),
        (-0.01, 0.0, "−0.2 (−1.0 to 0.0)"),
        (-0.01, 0.00001, "−0.2 (−1.0 to 0.0)"),
    ],
)
def test_an_end_of_an_interval_says_on_which_side_of_0_it_lies(low: float, high: float, shown: str):
    assert points(Interval(-0.002, low, high)) == shown


def test_a_row_that_later_parts_repeat_is_compared_as_the_first_declares_it():
    rows = {(row.size, row.host, row.name): row for row in declared_rows()}
    repeated = rows["180x240", "resnet18", "full label"]

    assert (repeated.part, repeated.against) == (
        "ablation",
        ("low label", "low label, by majority"),
    )


def test_gains_of_single_images():
    better, worse = scores(80, 6), scores(80, 4)

    gains = image_gains(result("+SSSR", better), result("full label", worse), 0)

    assert gains == pytest.approx({"image_0": 0.1, "image_1": 0.1})


def test_crops_show_the_median_and_both_ends():
    gains = {"a": 0.5, "b": -0.2, "c": 0.1, "d": 0.0, "e": 0.2}

    chosen = choose_images(gains)

    assert chosen == {"median gain": "c", "largest gain": "a", "smallest gain": "b"}


def test_plots_are_written_for_what_is_there(tmp_path: Path):
    pytest.importorskip("matplotlib")
    place = (60, "90x120", "resnet18")
    results = {place: {each.row.name: each for each in (LOW, FULL, DSRL)}}
    differences = {place: differences_of(results[place])}

    written = write_figures(results, differences, {}, tmp_path / "plots")

    assert [path.name.split("_")[0] for path in written] == ["cost", "curves", "gains", "classes"]
    assert "full label against low label" in written[2].read_text()
    classes = written[3].read_text()
    assert "full label against low label" in classes
    assert "+SSSR +SISR +FA against full label" in classes
    assert "pole (thin)" in classes


def test_a_report_of_nothing_says_so(tmp_path: Path):
    with pytest.raises(InputError, match="is finished yet"):
        write_report(tmp_path, data=None)


def test_a_report_is_made_from_the_files_alone(tmp_path: Path):
    pytest.importorskip("matplotlib")
    lines = []
    for each in (LOW, FULL, DSRL):
        for seed, of_seed in each.scores.items():
            run = f"runs/60_epochs/90x120/resnet18/{each.row.name}/seed_{seed}"
            (tmp_path / run).mkdir(parents=True)
            (tmp_path / run / "scores.json").write_text(json.dumps(of_seed))
            row = {"name": each.row.name, "part": "ablation", "size": "90x120", "host": "resnet18"}
            session = {"command": "c", "commit": "a", "machine": "m", "started": "s", "seconds": 36}
            more = {"seed": seed, "epochs": 60, "settings": {}, "finished": True}
            lines.append(json.dumps({"run": run, **row, **more, "sessions": [session]}))
    (tmp_path / "rows.jsonl").write_text("\n".join(lines))

    text = write_report(tmp_path, data=None).read_text()

    assert "the full label alone gives +10.0 (+10.0 to +10.0): 50 %." in text
    assert "| low label | 3 | 0.510 ± 0.010 |" in text
    (place,) = json.loads((tmp_path / "tables.json").read_text())["places"]
    assert place["rows"][0]["scores"]["miou"] == pytest.approx([0.5, 0.51, 0.52])
    assert np.isclose(place["label_shares"][0]["share"], 0.5)


def test_the_table_of_the_learned_part_has_means_over_the_seeds_that_were_measured(tmp_path: Path):
    row = result("+SSSR", scores(80, 4), scores(80, 4), scores(80, 4))
    row = replace(row, runs={seed: tmp_path / str(seed) for seed in row.runs})
    shares = {"changed": 0.01, "mended": 0.004, "spoilt": 0.002, "miou": 0.5, "miou_without": 0.4}
    for seed, numbers in enumerate((shares, {**shares, "changed": 0.03, "miou": 0.6})):
        row.runs[seed].mkdir()
        (row.runs[seed] / "learned_part.json").write_text(json.dumps(numbers))

    head, line = learned_cells({(60, "90x120", "resnet18"): {"+SSSR": row}})

    assert head[3:8] == ["epochs", "seeds", "changed", "mended", "spoilt"]
    assert line[3:] == ["60", "2", "2.00 %", "0.40 %", "0.20 %", "0.550", "0.400"]
