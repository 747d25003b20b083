"""Processes that share out the inputs."""

import pytest

from dualseg.core.errors import InputError
from dualseg.inference.shares import ALL, Share, share_of_environment


@pytest.mark.parametrize("world", [1, 2, 3, 7])
def test_every_item_is_in_one_share(world: int) -> None:
    items = list(range(10))
    shares = [Share(rank, world).of(items) for rank in range(world)]
    assert sorted(item for share in shares for item in share) == items
    assert max(map(len, shares)) - min(map(len, shares)) <= 1


def test_environment_of_torchrun() -> None:
    told = {"RANK": "5", "WORLD_SIZE": "8", "LOCAL_RANK": "1"}
    assert share_of_environment(told) == Share(5, 8, 1)
    assert share_of_environment({}) == ALL


@pytest.mark.parametrize("told", [{"WORLD_SIZE": "two"}, {"RANK": "2", "WORLD_SIZE": "2"}])
def test_environment_that_cannot_be(told: dict[str, str]) -> None:
    with pytest.raises(InputError, match="WORLD_SIZE"):
        share_of_environment(told)
