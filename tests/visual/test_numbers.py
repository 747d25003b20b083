"""How our pages write numbers."""

import pytest

from dualseg.visual.numbers import percent_text, score_text, short_number


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (0, "0"),
        (0.3, "0.3"),
        (1500, "1.5k"),
        (2_000_000, "2M"),
        (0.00025, "2.5e-4"),
        (1e-5, "1e-5"),
    ],
)
def test_numbers_are_short(value: float, text: str) -> None:
    assert short_number(value) == text


@pytest.mark.parametrize(("score", "text"), [(0.25649, "0.256"), (0.0, "0.000"), (None, "–")])
def test_a_score_has_three_decimals(score: float | None, text: str) -> None:
    assert score_text(score) == text


@pytest.mark.parametrize(
    ("share", "decimals", "text"), [(0.2568, 1, "25.7 %"), (0.0004, 2, "0.04 %"), (0.95, 0, "95 %")]
)
def test_a_percentage_has_its_sign_apart(share: float, decimals: int, text: str) -> None:
    assert percent_text(share, decimals) == text
