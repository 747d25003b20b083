"""What no longer fits on a page is named."""

from dualseg.visual.budget import PictureBudget


def test_shots_fill_the_page_in_order_and_the_rest_is_named() -> None:
    budget = PictureBudget(10)
    kept = budget.fill([("a", lambda: "x" * 6), ("b", lambda: "y" * 6), ("c", lambda: "z")])
    assert kept == ["x" * 6]
    assert budget.left_out == ["b", "c"]
    assert "2 pictures were left out (b, c)" in budget.words()
    assert "evaluation/gallery" in budget.words()


def test_bytes_count_not_letters() -> None:
    assert PictureBudget(3).fill([("a", lambda: "éé")]) == []


def test_nothing_is_drawn_for_a_full_page() -> None:
    def fail() -> str:
        raise AssertionError("drawn for nothing")

    budget = PictureBudget(1)
    assert budget.fill([("a", lambda: "long"), ("b", fail)]) == []


def test_a_page_with_room_says_nothing() -> None:
    budget = PictureBudget(10)
    assert budget.fill([("a", lambda: "x" * 10)]) == ["x" * 10]
    assert budget.words() == ""


def test_a_name_that_is_no_utf_8_counts_as_it_is_written() -> None:
    html = "b\udcfcro"  # written as b\udcfcro, nine letters
    assert PictureBudget(9).fill([("a", lambda: html)]) == [html]
    assert PictureBudget(8).fill([("a", lambda: html)]) == []
