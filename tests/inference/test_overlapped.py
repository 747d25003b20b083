"""Files in flight: in order, a few at once, the network once at a time."""

import threading

import numpy as np
import pytest
import torch
from PIL import Image

from dualseg.core.facts import ModelFacts, default_labels
from dualseg.inference.files import PredictOptions, predict_files
from dualseg.inference.overlapped import one_at_a_time, overlapped
from dualseg.inference.predictor import Predictor
from dualseg.models.catalog import create_model


@pytest.fixture
def predictor():
    torch.manual_seed(0)
    model = create_model("fcn", backbone="mobilenet_v2", num_classes=3, output_stride=32)
    return Predictor(model, facts=ModelFacts(model.architecture, default_labels(3)))


def test_results_come_in_order_though_the_first_is_the_slowest():
    second_done = threading.Event()

    def work(number):
        if number == 0:
            assert second_done.wait(10)
        if number == 1:
            second_done.set()
        return 10 * number

    assert list(overlapped(work, range(5))) == [0, 10, 20, 30, 40]


def test_no_more_are_begun_than_may_be_in_flight():
    begun = []
    results = overlapped(begun.append, range(10), in_flight=2)
    next(results)
    assert len(begun) <= 2
    results.close()
    assert len(begun) <= 3


def test_an_error_stops_the_rest():
    begun = []

    def work(number):
        begun.append(number)
        if number == 1:
            raise OSError("disk")

    with pytest.raises(OSError, match="disk"):
        list(overlapped(work, range(100), in_flight=2))
    assert len(begun) < 5


def test_the_network_runs_once_at_a_time():
    running, most = [], []

    class Logits:
        def __call__(self, images):
            running.append(1)
            most.append(len(running))
            threading.Event().wait(0.01)
            running.pop()
            return images

    class Holder:
        logits = Logits()

    in_turn = one_at_a_time(Holder())
    list(overlapped(lambda n: in_turn.logits(torch.zeros(1)), range(6)))
    list(overlapped(lambda n: in_turn.logits.small(torch.zeros(1)), range(6)))
    assert most == [1] * 12


def test_a_folder_gives_what_the_images_give_one_by_one(tmp_path, predictor):
    images = {}
    for number in range(7):
        pixels = np.random.default_rng(number).integers(0, 256, (40, 60 + number, 3), np.uint8)
        images[tmp_path / f"{number}.png"] = pixels
        Image.fromarray(pixels).save(tmp_path / f"{number}.png")
    told = []
    done = predict_files(
        predictor,
        [tmp_path],
        tmp_path / "out",
        options=PredictOptions(write=("labels",)),
        progress=lambda *counts: told.append(counts),
    )
    assert [item.image for item in done] == list(images)
    assert told == [(count, 7) for count in range(8)]
    for item in done:
        assert np.array_equal(np.asarray(Image.open(item.labels)), predictor(images[item.image]))
