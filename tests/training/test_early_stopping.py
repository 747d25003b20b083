import pytest
from runs import StopAt, Told, assert_same_outcome, train_until
from tiny import tiny_recipe

from dualseg.training import setup
from dualseg.training.early_stopping import EarlyStopping
from dualseg.training.trainer import is_finished, resume, train

pytestmark = pytest.mark.usefixtures("tiny_world")


def heard(scores, **settings) -> list[bool]:
    stopping = EarlyStopping(**settings)
    over = []
    for score in scores:
        stopping.heard(score)
        over.append(stopping.is_over)
    return over


def test_it_is_over_after_so_many_validations_without_a_rise():
    assert heard([0.1, 0.2, 0.2, 0.1], patience=2) == [False, False, False, True]
    assert heard([0.1, 0.2, 0.1, 0.3, 0.3], patience=2) == [False] * 5


def test_a_rise_must_be_larger_than_min_delta_since_the_last_rise():
    # 0.10 -> 0.14 is no rise by 0.05, but 0.16 is one over 0.10
    assert heard([0.10, 0.14, 0.16, 0.18], patience=2, min_delta=0.05) == [False] * 4


def test_a_score_that_does_not_exist_is_no_rise_and_no_patience_is_endless():
    assert heard([None, None], patience=2) == [False, True]
    assert heard([0.1] * 9) == [False] * 9


SCORES = {2: 0.5, 4: 0.6, 6: 0.55, 8: 0.6, 10: 0.9}


@pytest.fixture
def given_scores(monkeypatch):
    """The evaluation after step N gives SCORES[N], whatever the network says."""

    def create_evaluate(recipe, splits, facts, device, processes):
        watched = setup_evaluate(recipe, splits, facts, device, processes)

        def evaluate(network, watch):
            step = loops[-1].position.step
            return {**watched(network, watch), "miou": SCORES[step]}

        return evaluate

    setup_evaluate, real_loop, loops = setup._create_evaluate, setup.TrainingLoop, []

    def create_loop(**parts):
        loops.append(real_loop(**parts))
        return loops[-1]

    monkeypatch.setattr(setup, "_create_evaluate", create_evaluate)
    monkeypatch.setattr(setup, "TrainingLoop", create_loop)


PATIENT = {"training": {"max_steps": 10, "eval_every": 2, "checkpoint_every": 3, "patience": 2}}


@pytest.mark.usefixtures("given_scores")
def test_a_run_stops_early_keeps_its_best_and_is_finished(tmp_path):
    told = Told()
    result = train(tiny_recipe(PATIENT), tmp_path, progress=told)
    assert result.step == 8
    assert result.best_miou == 0.6
    assert (tmp_path / "checkpoints/best").readlink().name == "step_00000004"
    assert (tmp_path / "checkpoints/last").readlink().name == "step_00000008"
    assert any("stopping after step 8" in line for line in told.messages)
    assert is_finished(tmp_path)
    assert resume(tmp_path).step == 8


@pytest.mark.usefixtures("given_scores")
@pytest.mark.parametrize("step", range(1, 8))
def test_a_stop_by_signal_changes_nothing_about_the_early_stop(tmp_path, step):
    recipe = tiny_recipe(PATIENT)
    train(recipe, tmp_path / "whole")
    train_until(recipe, tmp_path / "stopped", StopAt(step))
    resume(tmp_path / "stopped")
    assert_same_outcome(tmp_path / "stopped", tmp_path / "whole")


@pytest.mark.usefixtures("given_scores")
def test_more_patience_lets_a_stopped_run_go_on(tmp_path):
    train(tiny_recipe(PATIENT), tmp_path)
    result = resume(tmp_path, overrides=["training.patience=4"])
    assert (result.step, result.best_miou) == (10, 0.9)


@pytest.mark.usefixtures("given_scores")
def test_a_run_that_stopped_early_says_when_and_why_and_how_to_go_on(tmp_path):
    train(tiny_recipe(PATIENT), tmp_path)
    told = Told()
    assert resume(tmp_path, progress=told).step == 8
    (message,) = [line for line in told.messages if "stopped early" in line]
    assert "after step 8 of 10: the score had not risen for 2 validations" in message
    assert "--set training.patience=4" in message
    assert not any("is finished" in line for line in told.messages)


@pytest.mark.usefixtures("given_scores")
def test_more_steps_let_a_stopped_run_go_on_with_new_patience(tmp_path, monkeypatch):
    monkeypatch.setitem(SCORES, 10, 0.6)
    monkeypatch.setitem(SCORES, 12, 0.6)
    train(tiny_recipe(PATIENT), tmp_path)
    told = Told()
    result = resume(tmp_path, overrides=["training.max_steps=20"], progress=told)
    assert (result.step, result.best_miou) == (12, 0.6)  # two more validations without a rise
    assert any("stopped early, after step 8 of 10; with 20 steps" in line for line in told.messages)
    told = Told()
    assert resume(tmp_path, progress=told).step == 12
    assert any("stopped early, after step 12 of 20" in line for line in told.messages)


@pytest.mark.usefixtures("given_scores")
def test_fewer_steps_are_no_reason_to_go_on(tmp_path):
    train(tiny_recipe(PATIENT), tmp_path)
    assert resume(tmp_path, overrides=["training.max_steps=9"]).step == 8
