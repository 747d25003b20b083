"""Which scores a user asks for."""

import pytest

from dualseg.core.errors import InputError
from dualseg.evaluation.extra_scores import EXTRA_SCORES, score_names


def test_a_text_is_one_name() -> None:
    assert score_names("interval") == score_names(["interval"]) == ("interval",)
    assert score_names("all") == score_names(["all"]) == EXTRA_SCORES


def test_an_unknown_name_is_told_whole() -> None:
    with pytest.raises(InputError, match="there is no score 'intervall'"):
        score_names("intervall")
