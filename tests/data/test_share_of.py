from itertools import chain

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dualseg.data.shares import share_of


@given(count=st.integers(0, 500), world=st.integers(1, 40))
def test_all_shares_together_are_everything_once_and_in_order(count: int, world: int) -> None:
    shares = [share_of(count, rank, world) for rank in range(world)]
    assert list(chain.from_iterable(shares)) == list(range(count))
    assert max(map(len, shares)) - min(map(len, shares)) <= 1


def test_five_images_on_two_processes_are_two_and_three() -> None:
    assert [share_of(5, rank, 2) for rank in (0, 1)] == [range(0, 2), range(2, 5)]


def test_with_fewer_images_than_processes_some_have_none() -> None:
    assert [len(share_of(2, rank, 4)) for rank in range(4)] == [0, 1, 0, 1]
    assert len(share_of(0, 0, 3)) == 0


def test_workers_share_a_share() -> None:
    mine = share_of(10, 1, 2)
    parts = [[mine[n] for n in share_of(len(mine), worker, 3)] for worker in range(3)]
    assert parts == [[5], [6, 7], [8, 9]]


@pytest.mark.parametrize(("count", "rank", "world"), [(3, 2, 2), (3, -1, 2), (-1, 0, 1), (3, 0, 0)])
def test_a_share_that_cannot_be_is_refused(count: int, rank: int, world: int) -> None:
    with pytest.raises(ValueError, match="rank must be"):
        share_of(count, rank, world)
