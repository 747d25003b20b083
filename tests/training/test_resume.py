import errno
import json
import os
import shutil
import signal

import pytest
import torch
from runs import StopAt, Told, assert_same_outcome, train_until
from tiny import TinyDataset, tiny_recipe

import dualseg
from dualseg.checkpoints.checksums import checksums
from dualseg.checkpoints.store import CheckpointStore
from dualseg.config import load_recipe
from dualseg.core.errors import InputError
from dualseg.core.files import DiskFullError
from dualseg.data.catalog import Splits
from dualseg.training import preflight, trainer
from dualseg.training.interruption import Interrupted
from dualseg.training.trainer import is_finished, resume, train

pytestmark = pytest.mark.usefixtures("tiny_world")

SGD = {"optimizer": "sgd", "nesterov": True}
ADAMW = {"optimizer": "adamw", "lr": 0.01, "clip_grad_norm": 0.5, "accumulate_steps": 2}
NO_AVERAGE = {"ema_decay": None, "channels_last": False}
BF16 = {"precision": "bf16"}


@pytest.mark.parametrize("workers", [0, 2])
@pytest.mark.parametrize("training", [SGD, ADAMW], ids=["sgd", "adamw"])
def test_two_and_two_steps_equal_four_bit_for_bit(tmp_path, training, workers):
    recipe = tiny_recipe({"training": {**training, "max_steps": 4, "num_workers": workers}})
    train(recipe, tmp_path / "whole")
    train_until(recipe, tmp_path / "halves", StopAt(2))
    resume(tmp_path / "halves")
    assert_same_outcome(tmp_path / "halves", tmp_path / "whole")


@pytest.mark.parametrize(
    "training", [SGD, ADAMW, NO_AVERAGE, BF16], ids=["sgd", "adamw", "no average", "bf16"]
)
def test_a_stop_after_any_step_changes_nothing(tmp_path, training):
    recipe = tiny_recipe({"training": training})
    train(recipe, tmp_path / "whole")
    for step in range(1, 6):
        folder = tmp_path / f"stopped_after_{step}"
        assert train_until(recipe, folder, StopAt(step)).step == step
        resume(folder)
        assert_same_outcome(folder, tmp_path / "whole")


@pytest.mark.parametrize("step", [3, 6])
def test_a_stop_in_the_middle_of_a_validation_changes_nothing(tmp_path, step):
    recipe = tiny_recipe()
    train(recipe, tmp_path / "whole")
    train_until(recipe, tmp_path / "stopped", StopAt(step, in_evaluation=True))
    assert not is_finished(tmp_path / "stopped")
    resume(tmp_path / "stopped")
    assert_same_outcome(tmp_path / "stopped", tmp_path / "whole")


def test_many_stops_change_nothing(tmp_path):
    recipe = tiny_recipe({"training": {"max_steps": 9}})
    train(recipe, tmp_path / "whole")
    train_until(recipe, tmp_path / "stopped", StopAt(1))
    for step in range(2, 9):
        with pytest.raises(Interrupted):
            resume(tmp_path / "stopped", progress=StopAt(step))
    resume(tmp_path / "stopped")
    assert_same_outcome(tmp_path / "stopped", tmp_path / "whole")


def test_the_number_of_workers_may_change_on_resume(tmp_path):
    recipe = tiny_recipe()
    train(recipe, tmp_path / "whole")
    train_until(recipe, tmp_path / "stopped", StopAt(3))
    resume(tmp_path / "stopped", overrides=["training.num_workers=2"])
    assert_same_outcome(tmp_path / "stopped", tmp_path / "whole")


@pytest.mark.parametrize(("signum", "code"), [(signal.SIGTERM, 143), (signal.SIGINT, 130)])
def test_a_signal_saves_and_says_with_which_code_to_leave(tmp_path, signum, code):
    interrupted = train_until(tiny_recipe(), tmp_path / "run", StopAt(1, signum=signum))
    assert interrupted.exit_code == code
    assert (tmp_path / "run" / "checkpoints" / "step_00000001").is_dir()


def test_a_run_stopped_before_its_first_checkpoint_begins_anew(tmp_path, monkeypatch):
    recipe = tiny_recipe()
    train(recipe, tmp_path / "whole")

    def killed(self, *args):
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(trainer.CheckpointStore, "save", killed)
        with pytest.raises(KeyboardInterrupt):
            train(recipe, tmp_path / "stopped")
    told = Told()
    resume(tmp_path / "stopped", progress=told)
    assert any("stopped before its first step" in line for line in told.messages)
    assert_same_outcome(tmp_path / "stopped", tmp_path / "whole")


@pytest.fixture
def not_begun(tmp_path, monkeypatch):
    """A run killed before its first checkpoint."""

    def killed(self, *args):
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(trainer.CheckpointStore, "save", killed)
        with pytest.raises(KeyboardInterrupt):
            train(tiny_recipe(), tmp_path / "stopped")
    return tmp_path / "stopped"


def test_a_run_that_begins_anew_is_checked_anew(not_begun, monkeypatch):
    with monkeypatch.context() as patch:
        patch.setattr(preflight, "check_dataset", faulty)
        with pytest.raises(InputError, match="label 9"):
            resume(not_begun)
    with monkeypatch.context() as patch:
        patch.setattr("shutil.disk_usage", lambda path: type("Usage", (), {"free": 10}))
        with pytest.raises(DiskFullError, match="10 are free"):
            resume(not_begun)
    assert resume(not_begun).step == 6


def faulty(dataset, **_):
    raise InputError("label 9 in image_3")


def test_a_relative_data_folder_given_on_resume_is_saved_absolute(tmp_path, monkeypatch, not_begun):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "moved").mkdir()
    (tmp_path / "again").mkdir()
    with pytest.raises(Interrupted):
        resume(not_begun, overrides=["data.root=moved"], progress=StopAt(2))
    assert load_recipe(not_begun / "config.yaml").data.root == str(tmp_path / "moved")
    resume(not_begun, overrides=["data.root=again"])
    assert load_recipe(not_begun / "config.yaml").data.root == str(tmp_path / "again")


def test_relative_weights_of_an_older_version_do_not_hinder(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "before").mkdir()
    train_until(tiny_recipe(), tmp_path / "run", StopAt(3))
    rewrite_saved_recipe(tmp_path / "run", "training", "init_weights", "before")
    config = tmp_path / "run" / "config.yaml"
    config.write_text(config.read_text().replace("init_weights: null", "init_weights: before"))
    assert resume(tmp_path / "run").step == 6


def test_a_run_of_a_version_that_knew_fewer_keys_goes_on(tmp_path):
    train(tiny_recipe(), tmp_path / "whole")
    train_until(tiny_recipe(), tmp_path / "old", StopAt(3))
    rewrite_saved_recipe(tmp_path / "old", "training", "nesterov")
    config = tmp_path / "old" / "config.yaml"
    config.write_text(config.read_text().replace("  nesterov: false\n", ""))
    resume(tmp_path / "old")
    assert_same_outcome(tmp_path / "old", tmp_path / "whole")


def rewrite_saved_recipe(run, section: str, key: str, value: str | None = None) -> None:
    """Sets a key of the newest checkpoint's recipe, or removes it, and mends the checksums."""
    folder = newest(run)
    state = json.loads((folder / "training_state.json").read_text())
    if value is None:
        del state["recipe"][section][key]
    else:
        state["recipe"][section][key] = value
    (folder / "training_state.json").write_text(json.dumps(state))
    names = json.loads((folder / "checksums.json").read_text())
    sums = checksums({name: (folder / name).read_bytes() for name in names})
    (folder / "checksums.json").write_text(json.dumps(sums))


def newest(folder):
    return (folder / "checkpoints" / "last").resolve()


def test_a_damaged_newest_checkpoint_costs_only_time(tmp_path):
    recipe = tiny_recipe({"training": {"max_steps": 9}})
    train(recipe, tmp_path / "whole")
    train_until(recipe, tmp_path / "hurt", StopAt(5))
    damaged = newest(tmp_path / "hurt")
    (damaged / "training_state.safetensors").write_bytes(b"nothing")
    told = Told()
    resume(tmp_path / "hurt", progress=told)
    assert any(str(damaged) in line and "going on from step 4" in line for line in told.messages)
    assert_same_outcome(tmp_path / "hurt", tmp_path / "whole")


def test_when_all_are_damaged_nothing_starts_again_from_the_beginning(tmp_path):
    train_until(tiny_recipe(), tmp_path, StopAt(5))
    for folder in (tmp_path / "checkpoints").glob("step_*"):
        (folder / "model.safetensors").write_bytes(b"nothing")
    history = (tmp_path / "metrics.jsonl").read_bytes()
    with pytest.raises(InputError, match="every checkpoint"):
        resume(tmp_path)
    assert (tmp_path / "metrics.jsonl").read_bytes() == history


def test_when_all_are_gone_nothing_starts_again_from_the_beginning(tmp_path):
    train_until(tiny_recipe(), tmp_path, StopAt(5))
    shutil.rmtree(tmp_path / "checkpoints")
    with pytest.raises(InputError, match="checkpoints is empty, but the run has made steps"):
        resume(tmp_path)


def test_a_full_disk_costs_only_time(tmp_path, monkeypatch):
    train(tiny_recipe(), tmp_path / "whole")
    real_fsync, writes = os.fsync, [0]

    def full_in_the_third_checkpoint(descriptor: int) -> None:
        writes[0] += 1
        if writes[0] > 35:
            raise OSError(errno.ENOSPC, "No space left on device")
        real_fsync(descriptor)

    with monkeypatch.context() as patch:
        patch.setattr(os, "fsync", full_in_the_third_checkpoint)
        with pytest.raises(DiskFullError, match="the checkpoint needs"):
            train(tiny_recipe(), tmp_path / "full")
    assert 0 < CheckpointStore(tmp_path / "full", report=print).latest().step < 6
    resume(tmp_path / "full")
    assert_same_outcome(tmp_path / "full", tmp_path / "whole")


def test_a_finished_run_says_so_and_keeps_its_result(tmp_path):
    result = train(tiny_recipe(), tmp_path)
    told = Told()
    again = resume(tmp_path, progress=told)
    assert again == result
    assert is_finished(tmp_path)
    assert any("the run is finished, 6 steps are done" in line for line in told.messages)


def test_a_finished_run_can_be_made_longer(tmp_path):
    train(tiny_recipe({"training": {"max_steps": 4, "schedule": "constant"}}), tmp_path / "longer")
    result = resume(tmp_path / "longer", overrides=["training.max_steps=6"])
    train(tiny_recipe({"training": {"schedule": "constant"}}), tmp_path / "whole")
    assert result.step == 6
    names = ("model.safetensors", "training_state.safetensors")
    for name in names:
        ours = (newest(tmp_path / "longer") / name).read_bytes()
        assert ours == (newest(tmp_path / "whole") / name).read_bytes()
    assert "max_steps: 6" in (tmp_path / "longer" / "config.yaml").read_text()


def test_a_new_length_under_the_polynomial_is_pointed_out(tmp_path):
    train(tiny_recipe({"training": {"max_steps": 4}}), tmp_path)
    told = Told()
    resume(tmp_path, overrides=["training.max_steps=6"], progress=told)
    assert any("learning rate follows the new length" in line for line in told.messages)


def test_a_run_cannot_be_made_shorter_than_it_is(tmp_path):
    train(tiny_recipe(), tmp_path)
    with pytest.raises(InputError, match="has made 6 steps already; 5 is"):
        resume(tmp_path, overrides=["training.max_steps=5"])


def test_changes_that_would_make_it_another_run_are_refused_and_listed(tmp_path):
    train_until(tiny_recipe(), tmp_path, StopAt(3))
    with pytest.raises(InputError) as caught:
        resume(tmp_path, overrides=["training.lr=0.5", "seed=6", "training.eval_every=2"])
    assert caught.value.problems == ("seed: 5 -> 6", "training.lr: 0.05 -> 0.5")


def test_a_recipe_edited_by_hand_is_refused_too(tmp_path):
    train_until(tiny_recipe(), tmp_path, StopAt(3))
    path = tmp_path / "config.yaml"
    path.write_text(path.read_text().replace("lr: 0.05", "lr: 0.5"))
    with pytest.raises(InputError, match=r"training\.lr: 0\.05 -> 0\.5"):
        resume(tmp_path)


def test_other_images_than_before_are_refused(tmp_path, monkeypatch):
    train_until(tiny_recipe(), tmp_path, StopAt(3))
    splits = Splits(TinyDataset(12), TinyDataset(3, "val"), ())
    monkeypatch.setattr(trainer, "open_splits", lambda settings, **_: splits)
    with pytest.raises(InputError, match="the data set is not the one") as caught:
        resume(tmp_path)
    assert "'images': 11" in caught.value.problems[0]
    assert "'images': 12" in caught.value.problems[0]


def saved_threads(folder) -> int:
    return json.loads((newest(folder) / "training_state.json").read_text())["environment"][
        "threads"
    ]


def test_the_thread_count_of_the_checkpoint_is_used_and_named(tmp_path, monkeypatch):
    recipe = tiny_recipe({"runtime": {"threads": None}})
    torch.set_num_threads(2)
    train_until(recipe, tmp_path, StopAt(3))
    torch.set_num_threads(1)
    told = Told()
    resume(tmp_path, progress=told)
    assert saved_threads(tmp_path) == 2
    assert torch.get_num_threads() == 1
    assert any("using 2 threads as the run did before" in line for line in told.messages)


def test_another_thread_count_is_used_when_asked_for_with_a_warning(tmp_path):
    train_until(tiny_recipe(), tmp_path, StopAt(3))
    told = Told()
    resume(tmp_path, overrides=["runtime.threads=2"], progress=told)
    assert saved_threads(tmp_path) == 2
    assert any("used 1 threads and goes on with 2" in line for line in told.messages)


def test_another_version_is_pointed_out(tmp_path, monkeypatch):
    train_until(tiny_recipe(), tmp_path, StopAt(3))
    ours = dualseg.__version__
    monkeypatch.setattr(dualseg, "__version__", "99.0")
    told = Told()
    resume(tmp_path, progress=told)
    assert any(f"dualseg {ours} -> 99.0; the result may not" in line for line in told.messages)


def test_only_a_run_can_be_resumed(tmp_path):
    with pytest.raises(InputError, match="holds no run"):
        resume(tmp_path)
