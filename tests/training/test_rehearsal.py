import gc
import weakref

import pytest
from runs import Told
from tiny import TinyNetwork, tiny_recipe

from dualseg.core.errors import InputError
from dualseg.core.processes import ALONE
from dualseg.training import network, rehearsal
from dualseg.training.profiling import PROFILE_FOLDER
from dualseg.training.progress import Silent
from dualseg.training.rehearsal import (
    find_batch_size,
    find_lr,
    rehearse_run,
    smooth,
    steepest,
)
from dualseg.training.trainer import train


@pytest.fixture(autouse=True)
def _world(tiny_world, monkeypatch):
    from dualseg.training import trainer

    monkeypatch.setattr(rehearsal, "open_splits", trainer.open_splits)


def test_a_rehearsal_says_what_a_run_would_take_and_writes_nothing(tmp_path):
    run = tmp_path / "run"
    found = rehearse_run(tiny_recipe(), run, progress=Silent(), processes=ALONE)
    assert found.parameters == sum(p.numel() for p in TinyNetwork().parameters())
    assert (found.train_images, found.val_images, found.max_steps) == (11, 3, 6)
    assert found.epochs == 3.0  # two whole batches of four in eleven images
    assert found.seconds_per_step > 0
    assert found.peak_memory_mib > 10
    assert not run.exists()


def test_a_rehearsal_refuses_what_training_would(tmp_path):
    with pytest.raises(InputError, match="do not fill one batch"):
        rehearse_run(
            tiny_recipe({"training": {"batch_size": 12}}), tmp_path / "run", progress=Silent()
        )


@pytest.mark.parametrize("max_steps", [1, 4])
def test_a_run_shorter_than_its_rehearsal_is_rehearsed(tmp_path, max_steps):
    recipe = tiny_recipe({"training": {"max_steps": max_steps}})
    assert rehearse_run(recipe, tmp_path / "run", progress=Silent()).max_steps == max_steps


def test_smoothing_is_a_mean_that_forgets():
    # weights 0.1 and 0.9 * 0.1 over their sum 0.19: (0.09 * 1 + 0.1 * 3) / 0.19
    assert smooth([1.0, 3.0]) == pytest.approx([1.0, 0.39 / 0.19])


def test_the_steepest_fall_per_tenfold_is_suggested():
    points = [(1e-4, 5.0), (1e-3, 4.9), (1e-2, 4.0), (1e-1, 2.0), (1.0, 3.0), (10.0, 0.5)]
    # falls over two tenfolds around 1e-3, 1e-2, 1e-1, 1: 1.0, 2.9, 1.0, 1.5
    assert steepest(points[:5]) == 1e-2
    with pytest.raises(InputError, match="falls at no learning rate"):
        steepest([(1e-3, 1.0), (1e-2, 2.0), (1e-1, 3.0)])


def test_rates_rise_from_the_lowest_to_the_highest_and_nothing_is_left(tmp_path):
    curve = find_lr(tiny_recipe(), tmp_path / "run", progress=Told(), num_steps=30)
    rates = [lr for lr, _ in curve.points]
    assert rates[0] == pytest.approx(1e-6)
    assert rates == sorted(rates)
    assert 1e-6 < curve.suggestion < 1.0
    assert not (tmp_path / "run").exists()


def test_the_batch_is_reckoned_from_what_each_image_adds(tmp_path, monkeypatch):
    # 100 MiB and 10 more for each image; 80 % of 500 MiB hold (400 - 100) / 10 = 30 images, but
    # there are only 11, of which 10 are a multiple of 2
    monkeypatch.setattr(rehearsal, "_free_memory", lambda: 500.0)
    monkeypatch.setattr(
        rehearsal, "_peak_of", lambda recipe, *_: 100.0 + 10.0 * recipe.training.batch_size
    )
    found = find_batch_size(tiny_recipe(), tmp_path / "run", progress=Silent())
    assert found.tried == ((2, 120.0), (4, 140.0), (8, 180.0))
    assert found.batch_size == 10
    monkeypatch.setattr(rehearsal, "_free_memory", lambda: 250.0)
    assert find_batch_size(tiny_recipe(), tmp_path / "run", progress=Silent()).batch_size == 10
    monkeypatch.setattr(rehearsal, "_free_memory", lambda: 200.0)  # 160 MiB hold 6
    assert find_batch_size(tiny_recipe(), tmp_path / "run", progress=Silent()).batch_size == 6


def test_batches_are_really_tried(tmp_path):
    found = find_batch_size(tiny_recipe(), tmp_path / "run", progress=Silent())
    assert [size for size, _ in found.tried] == [2, 4, 8]
    assert not (tmp_path / "run").exists()


def test_a_trial_s_memory_holds_one_network(tmp_path, monkeypatch):
    made, alive = [], []

    def create(name, **architecture):
        model = TinyNetwork()
        made.append(weakref.ref(model))
        return model

    def look(loop, count):
        alive.append(sum(model() is not None for model in made))

    monkeypatch.setattr(network, "create_model", create)
    monkeypatch.setattr(rehearsal, "_time_steps", look)
    gc.disable()  # it would come by chance
    try:
        find_batch_size(tiny_recipe(), tmp_path / "run", progress=Silent())
    finally:
        gc.enable()
    assert alive == [1, 1, 1]


def test_a_profile_is_written_beside_the_run_and_changes_nothing(tmp_path):
    recipe = tiny_recipe({"training": {"max_steps": 9}})
    plain = train(recipe, tmp_path / "plain")
    profiled = train(recipe, tmp_path / "run", profile=True)
    assert profiled.evaluation == plain.evaluation
    folder = tmp_path / "run" / PROFILE_FOLDER
    assert sorted(path.name for path in folder.iterdir()) == ["table.txt", "trace.json"]
    assert "aten::" in (folder / "table.txt").read_text()


def test_a_run_too_short_to_profile_says_so(tmp_path):
    told = Told()
    train(tiny_recipe({"training": {"max_steps": 1}}), tmp_path, progress=told, profile=True)
    assert any("nothing to profile in a run of 1 step" in line for line in told.messages)
