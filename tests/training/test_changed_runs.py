"""A run that goes on with another recipe, which was allowed: it says so, for good."""

import json

import pytest
from runs import StopAt, Told, assert_same_outcome, train_until
from tiny import tiny_recipe

from dualseg.config import load_recipe
from dualseg.core.errors import InputError
from dualseg.training.same_recipe import recipe_differences
from dualseg.training.trainer import resume, train

pytestmark = pytest.mark.usefixtures("tiny_world")

FASTER = ["training.lr=0.5"]
LR_AT_3 = {"step": 3, "changed": {"training.lr": [0.05, 0.5]}}


class KilledError(Exception):
    """Ends a run without a last checkpoint."""


class KillAt(Told):
    def __init__(self, step):
        super().__init__()
        self.step = step

    def stepped(self, step, max_steps, losses, lr):
        if step == self.step:
            raise KilledError


@pytest.fixture
def stopped(tmp_path):
    """A run that was stopped after three of six steps."""
    train_until(tiny_recipe(), tmp_path / "run", StopAt(3))
    return tmp_path / "run"


def files(folder):
    return {path: path.read_bytes() for path in folder.rglob("*") if path.is_file()}


def noted(run):
    return [json.loads(line) for line in (run / "changes.jsonl").read_text().splitlines()]


def test_what_changed_is_refused_then_allowed_told_and_noted(stopped):
    before = files(stopped)
    with pytest.raises(InputError, match="--allow-changed") as refused:
        resume(stopped, overrides=FASTER)
    assert refused.value.problems == ("training.lr: 0.05 -> 0.5",)
    assert files(stopped) == before

    told = Told()
    resume(stopped, overrides=FASTER, allow_changed=True, progress=told)
    assert any("from step 3 on" in line and "lr: 0.05 -> 0.5" in line for line in told.messages)
    assert noted(stopped) == [LR_AT_3]
    assert load_recipe(stopped / "config.yaml").training.lr == 0.5
    resume(stopped, overrides=["training.max_steps=8"])  # it is the run's recipe now
    assert noted(stopped) == [LR_AT_3]


def test_nothing_is_noted_where_nothing_changed(stopped):
    resume(stopped, overrides=["training.num_workers=0"], allow_changed=True)
    assert not (stopped / "changes.jsonl").exists()


def test_a_kill_before_the_next_checkpoint_asks_for_nothing_again(stopped, tmp_path):
    with pytest.raises(KilledError):
        resume(stopped, overrides=FASTER, allow_changed=True, progress=KillAt(4))
    resume(stopped)
    assert noted(stopped) == [LR_AT_3]
    train_until(tiny_recipe(), tmp_path / "other", StopAt(3))
    resume(tmp_path / "other", overrides=FASTER, allow_changed=True)
    assert_same_outcome(stopped, tmp_path / "other")


def test_a_recipe_edited_by_hand_is_a_change(stopped):
    config = stopped / "config.yaml"
    config.write_text(config.read_text().replace("lr: 0.05", "lr: 0.5"))
    with pytest.raises(InputError, match="--allow-changed"):
        resume(stopped)
    resume(stopped, allow_changed=True)
    assert noted(stopped) == [LR_AT_3]


def test_what_is_left_to_the_data_is_filled_in_again(tmp_path):
    train_until(tiny_recipe({"data": {"crop_size": [8, 8]}}), tmp_path, StopAt(3))
    resume(tmp_path, overrides=["data.crop_size=null"], allow_changed=True)
    assert noted(tmp_path)[0]["changed"] == {"data.crop_size": [[8, 8], [16, 16]]}


@pytest.mark.parametrize(
    ("override", "reason"),
    [
        ("training.optimizer=adamw", "holds the state of the old value"),
        ("training.ema_decay=null", "holds the state of the old value"),
        ("training.max_steps=3", "no step would be made"),
    ],
)
def test_what_no_step_could_be_made_with_is_refused_all_the_same(stopped, override, reason):
    finished = override.endswith("=3")
    if finished:
        resume(stopped, overrides=[override])
    before = files(stopped)
    with pytest.raises(InputError, match=reason):
        resume(stopped, overrides=FASTER if finished else [override], allow_changed=True)
    assert files(stopped) == before


def test_a_changed_run_is_no_run_of_either_recipe(stopped):
    resume(stopped, overrides=FASTER, allow_changed=True)
    line = "training.lr: 0.05 -> 0.5 from step 3 on"
    assert recipe_differences(stopped, tiny_recipe({"training": {"lr": 0.5}})) == [line]
    assert recipe_differences(stopped, tiny_recipe())[0] == line


def test_a_run_without_a_checkpoint_begins_with_what_is_asked_for(tmp_path):
    train(tiny_recipe({"training": {"max_steps": 1}}), tmp_path)
    for path in sorted((tmp_path / "checkpoints").rglob("*"), reverse=True):
        path.rmdir() if path.is_dir() and not path.is_symlink() else path.unlink()
    (tmp_path / "metrics.jsonl").unlink()
    resume(tmp_path, overrides=FASTER, allow_changed=True)
    assert load_recipe(tmp_path / "config.yaml").training.lr == 0.5
    assert not (tmp_path / "changes.jsonl").exists()
