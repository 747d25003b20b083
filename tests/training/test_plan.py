import pytest

from dualseg.config import TrainingSettings
from dualseg.core.errors import InputError
from dualseg.training.plan import create_plan


def plan(steps_per_epoch: int = 10, **settings):
    return create_plan(TrainingSettings(**settings), num_images=80, steps_per_epoch=steps_per_epoch)


def test_epochs_become_steps():
    assert plan(max_epochs=3).max_steps == 30
    assert plan(max_steps=7).max_steps == 7


def test_evaluation_comes_once_an_epoch_but_about_twenty_times_a_run():
    assert plan(max_epochs=5).eval_every == 10
    assert plan(max_epochs=100).eval_every == 50  # 1000 steps / 20
    assert plan(max_epochs=100).checkpoint_every == 50
    assert plan(max_epochs=100, eval_every=4, checkpoint_every=6).eval_every == 4
    assert plan(max_epochs=100, eval_every=4, checkpoint_every=6).checkpoint_every == 6
    assert plan(max_epochs=100, eval_every=4).checkpoint_every == 4


def test_the_last_step_is_always_logged_evaluated_and_saved():
    timetable = plan(max_steps=7, eval_every=3, checkpoint_every=4, log_every=2)
    steps = range(8)
    assert [s for s in steps if timetable.evaluates_after(s)] == [3, 6, 7]
    assert [s for s in steps if timetable.saves_after(s)] == [0, 4, 7]
    assert [s for s in steps if timetable.logs_after(s) and s] == [2, 4, 6, 7]


def test_the_epoch_is_a_share_of_the_split():
    assert plan(max_steps=7).epoch(25) == 2.5


def test_too_few_images_for_one_batch_are_refused():
    with pytest.raises(InputError, match="80 images, which do not fill one batch of 96"):
        plan(steps_per_epoch=0, max_steps=1, batch_size=96)


def test_a_batch_that_does_not_split_evenly_is_refused():
    with pytest.raises(InputError, match=r"batch_size 8 does not split into .* 3 equal parts"):
        plan(max_steps=1, batch_size=8, accumulate_steps=3)
