"""All trackers as one: each gets everything, and one that fails harms nobody."""

import numpy as np
import pytest
from runs import Told

from dualseg.training.records.trackers.trackers import Trackers

PICTURE = np.zeros((2, 3, 3), np.uint8)
ENTRY = {"step": 4, "epoch": 0.5, "split": "val", "miou": 0.25, "protocol": "whole"}


class Notebook:
    """A tracker that keeps what it is told, and fails in one of its methods."""

    def __init__(self, fails_in: str = "", error: Exception | None = None):
        self.fails_in, self.error = fails_in, error or RuntimeError("no route to host\nlong trace")
        self.told: list[tuple] = []

    def numbers(self, values, step):
        self._do("numbers", values, step)

    def picture(self, name, picture, step):
        self._do("picture", name, step)

    def histogram(self, name, values, step):
        self._do("histogram", name, values.tolist(), step)

    def close(self):
        self._do("close")

    def _do(self, *what):
        if what[0] == self.fails_in:
            raise self.error
        self.told.append(what)


def tell_everything(trackers: Trackers) -> None:
    trackers.entry(ENTRY)
    trackers.picture("samples/a", PICTURE, 4)
    trackers.histogram("weights/b", np.array([1.0, np.nan, 3.0], np.float32), 4)
    trackers.close()


def test_numbers_are_named_by_their_split_and_texts_are_left_out():
    notebook = Notebook()
    tell_everything(Trackers({"a": notebook}, report=pytest.fail))
    assert notebook.told == [
        ("numbers", {"val/epoch": 0.5, "val/miou": 0.25}, 4),
        ("picture", "samples/a", 4),
        ("histogram", "weights/b", [1.0, 3.0], 4),
        ("close",),
    ]


def test_a_number_that_is_not_finite_is_left_out():
    notebook = Notebook()
    trackers = Trackers({"a": notebook}, report=pytest.fail)
    trackers.entry({"step": 1, "split": "train", "loss": float("inf"), "lr": 0.5})
    trackers.histogram("weights/b", np.array([np.nan], np.float32), 1)
    assert notebook.told == [("numbers", {"train/lr": 0.5}, 1)]


@pytest.mark.parametrize("method", ["numbers", "picture", "histogram", "close"])
def test_a_tracker_that_fails_is_told_once_and_the_others_get_everything(method):
    failing, healthy, told = Notebook(method), Notebook(), Told()
    trackers = Trackers({"bad": failing, "good": healthy}, report=told.message)
    tell_everything(trackers)
    tell_everything(trackers)
    assert len(healthy.told) == 8
    assert len(told.messages) == 1
    assert "tracker bad failed (no route to host) and gets nothing more" in told.messages[0]
    assert trackers.are_watching


def test_after_the_last_one_failed_nobody_watches():
    trackers = Trackers({"bad": Notebook("numbers")}, report=lambda text: None)
    trackers.entry(ENTRY)
    assert not trackers.are_watching


def test_an_error_without_a_text_is_named_by_its_kind():
    told = Told()
    trackers = Trackers({"bad": Notebook("numbers", TimeoutError())}, report=told.message)
    trackers.entry(ENTRY)
    assert "failed (TimeoutError)" in told.messages[0]


def test_an_interruption_is_no_failure_of_a_tracker():
    trackers = Trackers({"a": Notebook("numbers", KeyboardInterrupt())}, report=pytest.fail)  # type: ignore[arg-type]
    with pytest.raises(KeyboardInterrupt):
        trackers.entry(ENTRY)
