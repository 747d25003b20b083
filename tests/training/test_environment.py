"""Which device is used, and what is said where it is not there."""

import pytest
import torch

from dualseg.core.errors import InputError
from dualseg.core.processes import Processes
from dualseg.training.environment import choose_device


def test_a_gpu_that_is_not_there_is_told_with_both_places_to_say_another(monkeypatch):
    monkeypatch.setattr(torch.cuda, "device_count", lambda: 1)
    with pytest.raises(InputError, match="this machine has no device cuda:1; use cpu or auto") as e:
        choose_device("cuda:1")
    assert "--device, or runtime.device of a recipe" in str(e.value)


def test_many_processes_do_not_share_one_gpu():
    two = Processes(rank=0, world=2)
    with pytest.raises(InputError, match="device cuda:0 is one GPU, and there are 2 processes"):
        choose_device("cuda:0", two)


def test_auto_is_the_cpu_where_there_is_no_gpu(monkeypatch):
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    assert choose_device("auto") == torch.device("cpu")
