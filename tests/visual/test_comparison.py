"""Several variants side by side."""

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from dualseg.core.errors import InputError
from dualseg.visual.comparison import ComparisonRow, write_comparison
from dualseg.visual.comparison_gallery import busiest_window
from dualseg.visual.comparison_rows import paired_difference, verdict
from dualseg.visual.comparison_tables import markdown_table

MakeRun = Callable[..., Path]


def row(name: str, *mious: float, runs: tuple[Path, ...] = ()) -> ComparisonRow:
    ious = tuple((miou, miou / 2, None) for miou in mious)
    return ComparisonRow(name, runs, mious, ious, 12.34, None, 1_500_000)


def test_differences_are_paired_by_seed() -> None:
    # +0.1 and +0.3: mean 0.2, sample deviation 0.1414.
    difference = paired_difference(row("a", 0.5, 0.6), row("b", 0.4, 0.3))
    assert difference.values == pytest.approx((0.1, 0.3))
    assert str(difference) == "+0.200 ± 0.141"


def test_only_seeds_that_both_rows_have_are_compared() -> None:
    difference = paired_difference(row("a", 0.5, 0.6), row("b", 0.6))
    assert str(difference) == "−0.100"


def test_a_difference_that_rounds_to_zero_has_no_sign() -> None:
    assert str(paired_difference(row("a", 0.4999), row("b", 0.5))) == "0.000"
    assert str(paired_difference(row("a", 0.5001), row("b", 0.5))) == "0.000"


def test_class_means_leave_out_seeds_without_an_iou() -> None:
    mixed = ComparisonRow("a", (), (0.5, 0.5), ((0.2, None), (None, None)), None, None, None)
    assert mixed.mean_iou(0) == 0.2
    assert mixed.mean_iou(1) is None


def test_verdict_counts_the_seeds() -> None:
    text = verdict([row("plain", 0.4, 0.5), row("dual", 0.5, 0.45)], 1)
    assert "dual has the highest mean mIoU, 0.475" in text
    assert "against plain (higher with 1 of 2 seeds)" in text
    assert "One seed" not in text


def test_verdict_of_single_seeds_says_that_chance_is_unknown() -> None:
    text = verdict([row("plain", 0.4), row("dual", 0.5)], 1)
    assert "Paired difference: +0.100 against plain. One seed each" in text


def test_verdict_when_the_baseline_wins() -> None:
    text = verdict([row("plain", 0.5), row("dual", 0.4)], 1)
    assert "plain has the highest" in text
    assert "against" not in text


def test_window_lies_where_most_pixels_differ() -> None:
    area = np.zeros((100, 200), dtype=bool)
    area[60:70, 150:160] = True
    area[5, 5] = True
    window = busiest_window(area)
    assert window.cut(area).shape == (30, 60)
    assert window.cut(area).sum() == 100
    # The same share of a picture of half the size.
    assert window.cut(area[::2, ::2]).shape == (15, 30)
    assert window.cut(area[::2, ::2]).sum() == 25


def test_window_on_tiny_and_on_equal_maps() -> None:
    assert busiest_window(np.zeros((5, 4), dtype=bool)).cut(np.ones((5, 4))).shape == (5, 4)


def test_page_and_table_of_two_evaluated_variants(make_run: MakeRun, tmp_path: Path) -> None:
    plain, dual = make_run("plain/seed_0", wrong=16), make_run("dual/seed_0", wrong=4)
    rows = [row("plain", 0.4, runs=(plain,)), row("+SSSR", 0.5, runs=(dual,))]
    html = write_comparison(tmp_path, rows, title="Streets").read_text(encoding="utf-8")
    assert "network input scaled by 0.5" in html
    # Three shared samples, not the best and worst; four tiles each of a whole and a close picture.
    assert html.count('<article class="card shot"') == 3
    assert html.count("<img") == 3 * 4 * 2
    # 12 rows of 24 valid pixels differ, of 32 x 48.
    assert f"{100 * 12 * 24 / (32 * 48):.1f} % of" in html
    assert html.count("<polyline") == 2
    assert 'src="http' not in html
    table = (tmp_path / "table.md").read_text(encoding="utf-8")
    assert "| +SSSR | 0.500 | 1 | +0.100 | 12.3 ms | – | 1.50 M |" in table
    assert "| pole | 0.200 | 0.250 |" in table


def test_page_and_table_say_at_what_size_latency_was_measured(tmp_path: Path) -> None:
    page = write_comparison(tmp_path, [row("a", 0.4)], latency_size=(96, 128))
    for file in (page, tmp_path / "table.md"):
        assert "Latency is the median of one image of 96x128" in file.read_text("utf-8")


def test_rows_without_run_folders_still_give_tables(tmp_path: Path) -> None:
    html = write_comparison(tmp_path, [row("a", 0.4), row("b", 0.5)]).read_text(encoding="utf-8")
    assert "There are no pictures" in html
    assert "class_0" in html.replace("<wbr>", "")


def test_two_baselines_have_a_column_each(tmp_path: Path) -> None:
    rows = [row("low", 0.3), row("full", 0.4), row("dual", 0.6)]
    write_comparison(tmp_path, rows, num_baselines=2)
    table = (tmp_path / "table.md").read_text(encoding="utf-8")
    assert "| low | 0.300 | 1 |  |  |" in table
    assert "| full | 0.400 | 1 | +0.100 |  |" in table
    assert "| dual | 0.600 | 1 | +0.300 | +0.200 |" in table


def test_names_are_escaped(make_run: MakeRun, tmp_path: Path) -> None:
    evil = "<script>x</script>"
    run = make_run("run", class_names=(evil, "b", "c"))
    rows = [row(evil, 0.4, runs=(run,)), row("b", 0.5, runs=(run,))]
    assert "<script" not in write_comparison(tmp_path, rows, title=evil).read_text("utf-8")


def test_markdown_signs_in_names_are_escaped() -> None:
    assert markdown_table([["a|b", "c"], ["<i>", "1"]]) == (
        "| a\\|b | c |\n| --- | ---: |\n| \\<i\\> | 1 |\n"
    )


def test_nothing_to_compare_is_an_input_error(tmp_path: Path) -> None:
    for rows in ([], [row("a")]):
        with pytest.raises(InputError, match="at least one finished run"):
            write_comparison(tmp_path, rows)
