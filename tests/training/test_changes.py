import pytest

from dualseg.core.errors import InputError
from dualseg.training.records.changes import changed_keys, require_same_course

BEFORE = {"seed": 0, "training": {"lr": 0.1, "max_steps": 10}, "runtime": {"threads": None}}


def test_every_difference_has_its_old_and_new_value():
    after = {"seed": 1, "training": {"lr": 0.1, "max_steps": 20}, "runtime": {"threads": 2}}
    assert changed_keys(BEFORE, after) == {
        "seed": (0, 1),
        "training.max_steps": (10, 20),
        "runtime.threads": (None, 2),
    }


def test_length_and_machine_may_change():
    after = {"seed": 0, "training": {"lr": 0.1, "max_steps": 20}, "runtime": {"threads": 2}}
    require_same_course(BEFORE, after)


def test_what_would_make_another_run_is_listed():
    after = {"seed": 1, "training": {"lr": 0.2, "max_steps": 20}, "runtime": {"threads": None}}
    with pytest.raises(InputError, match="cannot change") as caught:
        require_same_course(BEFORE, after)
    assert caught.value.problems == ("seed: 0 -> 1", "training.lr: 0.1 -> 0.2")


def with_teacher(teacher):
    return {**BEFORE, "distillation": {"teacher": teacher, "teacher_fingerprint": "1f"}}


def test_a_teacher_may_move_but_neither_come_nor_go():
    require_same_course(with_teacher("old/place"), with_teacher("new/place"))
    for before, after in ((None, "runs/teacher"), ("runs/teacher", None)):
        with pytest.raises(InputError, match="the teacher only where it lies") as caught:
            require_same_course(with_teacher(before), with_teacher(after))
        assert caught.value.problems == (f"distillation.teacher: {before!r} -> {after!r}",)
