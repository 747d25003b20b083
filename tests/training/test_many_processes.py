"""Several processes train one network: forked twins of this one, over gloo."""

import json
import os
import signal
import time
from collections.abc import Mapping

import pytest
import torch
import torch.distributed as dist
from many import Started, in_processes
from runs import StopAt, Told, assert_same_outcome, outcome
from tiny import TinyDataset, TinyNetwork, tiny_recipe

from dualseg.checkpoints.tensors import read_tensors
from dualseg.core.errors import InputError
from dualseg.core.processes import joined_processes
from dualseg.data.catalog import Splits
from dualseg.data.loading import loaders
from dualseg.training import network, setup, trainer
from dualseg.training.progress import Silent
from dualseg.training.trainer import resume, train

pytestmark = pytest.mark.usefixtures("tiny_world")

BATCH_OF_12 = {"training": {"batch_size": 12, "max_steps": 4, "eval_every": 2}}


@pytest.fixture(autouse=True)
def _one_thread() -> None:
    torch.set_num_threads(1)


@pytest.fixture
def no_dropout(monkeypatch, tiny_world):
    """Dropout is drawn anew in each process, so a comparison with one process leaves it out."""
    monkeypatch.setattr(
        network, "create_model", lambda name, **architecture: TinyNetwork(dropout=0.0)
    )


@pytest.fixture
def many_images(monkeypatch, tiny_world):
    splits = Splits(TinyDataset(26), TinyDataset(5, "val"), ())
    monkeypatch.setattr(trainer, "open_splits", lambda settings, **_: splits)


def trained(folder):
    return read_tensors(folder / "checkpoints/last/model.safetensors")


def assert_close(folder, other, *, tolerance=2e-5):
    ours, theirs = trained(folder), trained(other)
    for name, value in theirs.items():
        assert torch.allclose(ours[name], value, atol=tolerance, rtol=tolerance), name


def ended_well(endings):
    assert [ending.code for ending in endings] == [0] * len(endings), [e.error for e in endings]
    return endings


@pytest.mark.usefixtures("no_dropout", "many_images")
@pytest.mark.parametrize("world", [2, 3, 4])
def test_many_processes_train_the_network_that_one_trains(tmp_path, world):
    recipe = tiny_recipe(BATCH_OF_12)
    train(recipe, tmp_path / "one")
    ended_well(in_processes(world, lambda: train(recipe, tmp_path / "many")))
    assert_close(tmp_path / "many", tmp_path / "one")
    ours, theirs = outcome(tmp_path / "many"), outcome(tmp_path / "one")
    assert [line.keys() for line in ours["history"]] == [line.keys() for line in theirs["history"]]
    for our_line, their_line in zip(ours["history"], theirs["history"], strict=True):
        assert our_line == pytest.approx(their_line, abs=1e-4)


@pytest.mark.usefixtures("no_dropout", "many_images")
def test_parts_of_a_batch_in_two_processes_train_the_same_network_too(tmp_path, monkeypatch):
    recipe = tiny_recipe(BATCH_OF_12)
    options = {"norm": "group", "dropout": 0.0}  # batch norm sees the parts, so they would differ
    monkeypatch.setattr(network, "create_model", lambda name, **_: TinyNetwork(**options))
    train(recipe, tmp_path / "one")
    parts = {"training": {**BATCH_OF_12["training"], "accumulate_steps": 3}}
    ended_well(in_processes(2, lambda: train(tiny_recipe(parts), tmp_path / "many")))
    assert_close(tmp_path / "many", tmp_path / "one")


@pytest.mark.usefixtures("no_dropout", "many_images")
def test_without_synchronised_batch_norm_the_networks_differ(tmp_path):
    recipe = tiny_recipe({"training": {**BATCH_OF_12["training"], "sync_batchnorm": False}})
    train(recipe, tmp_path / "one")
    ended_well(in_processes(2, lambda: train(recipe, tmp_path / "many")))
    with pytest.raises(AssertionError):
        assert_close(tmp_path / "many", tmp_path / "one")


@pytest.mark.usefixtures("many_images")
@pytest.mark.parametrize("synced", [True, False])
@pytest.mark.parametrize("world", [2, 3])
def test_a_stopped_run_of_many_ends_as_if_it_had_not_stopped(tmp_path, world, synced):
    recipe = tiny_recipe({"training": {**BATCH_OF_12["training"], "sync_batchnorm": synced}})
    ended_well(in_processes(world, lambda: train(recipe, tmp_path / "whole")))
    stopped = in_processes(world, lambda: train(recipe, tmp_path / "stopped", progress=StopAt(3)))
    assert {ending.code for ending in stopped} == {143}
    assert os.readlink(tmp_path / "stopped/checkpoints/last") == "step_00000003"
    ended_well(in_processes(world, lambda: resume(tmp_path / "stopped")))
    assert_same_outcome(tmp_path / "stopped", tmp_path / "whole")


@pytest.mark.usefixtures("no_dropout", "many_images")
def test_four_then_two_then_one_process_see_the_same_samples(tmp_path, monkeypatch):
    recipe = tiny_recipe(BATCH_OF_12)
    train(recipe, tmp_path / "one")

    def stop_at(step):
        return lambda: train(recipe, tmp_path / "fewer", progress=StopAt(step))

    assert {ending.code for ending in in_processes(4, stop_at(1))} == {143}
    going_on = in_processes(2, lambda: resume(tmp_path / "fewer", progress=StopAt(2)))
    assert {ending.code for ending in going_on} == {143}
    told = Told()
    resume(tmp_path / "fewer", progress=told)
    assert any("processes 2 -> 1" in line for line in told.messages)
    assert_close(tmp_path / "fewer", tmp_path / "one")


@pytest.mark.usefixtures("many_images")
def test_the_order_of_samples_is_that_of_one_process(monkeypatch):
    def loader(rank, world):
        return loaders.TrainLoader(
            TinyDataset(26),
            crop_size=(16, 16),
            scale_range=(1.0, 1.0),
            flip=True,
            photometric=0.0,
            batch_size=12,
            seed=5,
            rank=rank,
            world=world,
        )

    whole = next(iter(loader(0, 1).batches(3)))
    for world in (1, 2, 3, 4):
        names = ()
        for rank in range(world):
            names += next(iter(loader(rank, world).batches(3))).names
        assert names == whole.names


@pytest.mark.parametrize("num_images", [1, 2, 3, 7])
@pytest.mark.parametrize("world", [2, 4])
def test_every_validation_image_is_scored_once(tmp_path, monkeypatch, num_images, world):
    splits = Splits(TinyDataset(11), TinyDataset(num_images, "val"), ())
    monkeypatch.setattr(trainer, "open_splits", lambda settings, **_: splits)
    recipe = tiny_recipe({"training": {"max_steps": 1, "lr": 1e-9, "ema_decay": None}})
    alone = train(recipe, tmp_path / "one")
    ended_well(in_processes(world, lambda: train(recipe, tmp_path / "many")))
    scores = outcome(tmp_path / "many")["last/position"]["evaluation"]
    assert scores["num_images"] == num_images
    assert scores["ignored_share"] == alone.evaluation["ignored_share"]


def test_a_share_that_is_ignored_altogether_counts_as_ignored(tmp_path, monkeypatch):
    class SecondIsIgnored(TinyDataset):
        def label_map(self, index):
            label_map = super().label_map(index)
            return label_map * 0 + 255 if index == 1 else label_map

    splits = Splits(TinyDataset(11), SecondIsIgnored(2, "val"), ())
    monkeypatch.setattr(trainer, "open_splits", lambda settings, **_: splits)
    recipe = tiny_recipe({"training": {"max_steps": 1}})
    alone = train(recipe, tmp_path / "one")
    ended_well(in_processes(2, lambda: train(recipe, tmp_path / "many")))
    scores = outcome(tmp_path / "many")["last/position"]["evaluation"]
    assert scores["num_images"] == 2
    assert scores["ignored_share"] == alone.evaluation["ignored_share"]


def test_a_batch_that_does_not_split_is_refused_by_one_voice(tmp_path):
    endings = in_processes(3, lambda: train(tiny_recipe(), tmp_path))
    kinds = sorted(ending.kind for ending in endings)
    assert kinds == ["InputError", "OtherProcessFailedError", "OtherProcessFailedError"]
    (told,) = [ending.error for ending in endings if ending.kind == "InputError"]
    assert "batch_size 4, which is over all processes, does not split into 3" in told


class FailAt(Silent):
    """Fails in one process only; what it shows is shown to the first one alone, so that it is."""

    def stepped(self, step: int, max_steps: int, losses: Mapping[str, float], lr: float) -> None:
        if step == 2:
            raise InputError("a fault of one process")


@pytest.mark.usefixtures("many_images")
def test_one_process_that_fails_ends_all_with_its_exit_code(tmp_path):
    started = time.monotonic()
    endings = in_processes(3, lambda: train(tiny_recipe(BATCH_OF_12), tmp_path, progress=FailAt()))
    assert time.monotonic() - started < 20
    assert endings[0].error == "a fault of one process"
    assert [ending.kind for ending in endings] == [
        "InputError",
        "OtherProcessFailedError",
        "OtherProcessFailedError",
    ]


@pytest.mark.usefixtures("many_images")
def test_a_signal_to_one_process_stops_all_after_the_same_step(tmp_path):
    started = Started(2, lambda: train(tiny_recipe(LONG), tmp_path))
    wait_for(tmp_path / "metrics.jsonl")
    started.kill(1, signal.SIGTERM)
    assert {ending.code for ending in started.wait()} == {143}
    step = newest_step(tmp_path)
    assert json.loads((tmp_path / "metrics.jsonl").read_text().splitlines()[-1])["step"] == step


def test_a_signal_to_one_process_after_the_last_validation_stops_all(tmp_path):
    class Stop(Silent):
        def evaluated(self, step, *rest):
            if step == 6:
                os.kill(os.getpid(), signal.SIGTERM)

    endings = in_processes(2, lambda: train(tiny_recipe(), tmp_path, progress=Stop()))
    assert {ending.code for ending in endings} == {143}
    assert newest_step(tmp_path) == 6


@pytest.mark.usefixtures("many_images")
def test_a_run_whose_processes_are_killed_twice_ends_as_if_they_had_not_been(tmp_path):
    recipe = tiny_recipe({"training": {**LONG["training"], "max_steps": 400}})
    ended_well(in_processes(2, lambda: train(recipe, tmp_path / "whole")))
    for attempt, rank in enumerate([1, 0]):
        before = newest_step(tmp_path / "killed")
        started = Started(2, lambda: train(recipe, tmp_path / "killed"), attempt=attempt)
        wait_until(lambda before=before: newest_step(tmp_path / "killed") > before + 20)
        started.kill(rank)
        endings = started.wait()
        assert endings[rank].code == -signal.SIGKILL
        assert endings[1 - rank].kind == "OtherProcessFailedError"
    ended_well(in_processes(2, lambda: train(recipe, tmp_path / "killed"), attempt=2))
    assert_same_outcome(tmp_path / "killed", tmp_path / "whole")


def test_one_that_still_connects_when_the_first_fails_tells_of_that_failure(monkeypatch):
    connect = dist.init_process_group

    def connect_slowly(*arguments, store, rank, **options):
        connect(*arguments, store=store, rank=rank, **options)
        if rank == 1:
            time.sleep(0.5)
            store.set("connected", "yes")

    def fail_in_the_first():
        with joined_processes() as processes:
            if processes.is_first:
                raise InputError("the recipe is wrong")
            processes.from_first(None)

    monkeypatch.setattr(dist, "init_process_group", connect_slowly)
    endings = in_processes(2, fail_in_the_first)
    assert [ending.kind for ending in endings] == ["InputError", "OtherProcessFailedError"]
    assert endings[0].error == "the recipe is wrong"


@pytest.mark.usefixtures("many_images")
@pytest.mark.parametrize("world", [1, 2])
def test_a_restart_goes_on_with_the_run_it_had_begun(tmp_path, world):
    recipe = tiny_recipe(BATCH_OF_12)
    stopped = in_processes(world, lambda: train(recipe, tmp_path, progress=StopAt(3)))
    assert {ending.code for ending in stopped} == {143}
    ended_well(in_processes(world, lambda: train(recipe, tmp_path), attempt=1))
    assert newest_step(tmp_path) == 4


@pytest.mark.usefixtures("many_images")
@pytest.mark.parametrize("world", [1, 2])
def test_a_restart_does_not_take_the_run_of_another_recipe_for_its_own(tmp_path, world):
    train(tiny_recipe(BATCH_OF_12), tmp_path)
    before = (tmp_path / "metrics.jsonl").read_text()
    longer = tiny_recipe({"training": {**BATCH_OF_12["training"], "max_steps": 5, "lr": 0.5}})
    for attempt in (0, 1):
        endings = in_processes(world, lambda: train(longer, tmp_path), attempt=attempt)
        kinds = ["InputError", "OtherProcessFailedError"][:world]
        assert [ending.kind for ending in endings] == kinds
        assert "already holds a run" in endings[0].error
    assert "training.lr: 0.05 there, 0.5 asked for" in endings[0].error
    assert (tmp_path / "metrics.jsonl").read_text() == before


LONG = {"training": {"batch_size": 12, "max_steps": 100_000, "log_every": 1, "eval_every": 50_000}}
LONG["training"]["checkpoint_every"] = 10


def wait_until(condition):
    deadline = time.monotonic() + 30
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(0.005)


def wait_for(path):
    wait_until(path.exists)


def newest_step(folder) -> int:
    link = folder / "checkpoints/last"
    return int(os.readlink(link).removeprefix("step_")) if link.is_symlink() else -1


@pytest.mark.usefixtures("many_images")
def test_a_killed_process_ends_the_others(tmp_path):
    started = Started(3, lambda: train(tiny_recipe(LONG), tmp_path))
    wait_for(tmp_path / "metrics.jsonl")
    started.kill(2)
    endings = started.wait()
    assert endings[2].code == -signal.SIGKILL
    assert {ending.kind for ending in endings[:2]} == {"OtherProcessFailedError"}


@pytest.mark.usefixtures("many_images")
def test_two_runs_one_after_the_other_in_the_same_processes(tmp_path):
    recipe = tiny_recipe(BATCH_OF_12)

    def both() -> None:
        train(recipe, tmp_path / "first")
        train(recipe, tmp_path / "second")

    ended_well(in_processes(2, both))
    assert_same_outcome(tmp_path / "second", tmp_path / "first")


@pytest.mark.usefixtures("many_images")
def test_a_loss_that_is_not_finite_in_one_process_stops_all_and_names_every_image(
    tmp_path, monkeypatch
):
    usual = setup.create_objective

    def create(recipe, labels, **options):
        objective = usual(recipe, labels, **options)

        def broken(output, batch, step):
            factor = float("nan") if (step, os.environ["RANK"]) == (2, "1") else 1.0
            return {name: term * factor for name, term in objective(output, batch, step).items()}

        return broken

    monkeypatch.setattr(setup, "create_objective", create)
    endings = in_processes(2, lambda: train(tiny_recipe(BATCH_OF_12), tmp_path))
    kinds = sorted(ending.kind for ending in endings)
    assert kinds == ["NonFiniteLossError", "OtherProcessFailedError"]
    (told,) = [ending.error for ending in endings if ending.kind == "NonFiniteLossError"]
    assert "step 3" in told
    assert told.count("train_") == 12
