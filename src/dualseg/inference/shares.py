"""Many processes share out the inputs without talking to each other."""

import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TypeVar

from dualseg.core.errors import InputError

Item = TypeVar("Item")


@dataclass(frozen=True)
class Share:
    """Every `world`-th item, from `rank` on.

    Args:
        rank: Number of this process, from 0.
        world: How many there are.
        local_rank: Number of this process on its machine; also that of its GPU.
    """

    rank: int = 0
    world: int = 1
    local_rank: int = 0

    def of(self, items: Sequence[Item]) -> list[Item]:
        """Those of this process; over all processes each item stands once."""
        return list(items[self.rank :: self.world])


ALL = Share()


def share_of_environment(environment: Mapping[str, str] = os.environ) -> Share:
    """What `torchrun` says in RANK, WORLD_SIZE and LOCAL_RANK; everything without it.

    No process group is joined: a process that dies takes none of the others' work with it.

    Raises:
        InputError: They are no numbers, or RANK is not below WORLD_SIZE.
    """
    world = _number(environment, "WORLD_SIZE", 1)
    rank = _number(environment, "RANK", 0)
    if world < 1 or rank >= world:
        raise InputError(
            f"the environment says RANK {rank} of WORLD_SIZE {world}; RANK runs from 0 to "
            "WORLD_SIZE - 1 (unset both to predict everything in one process)"
        )
    return Share(rank, world, _number(environment, "LOCAL_RANK", rank))


def _number(environment: Mapping[str, str], name: str, default: int) -> int:
    text = environment.get(name, str(default))
    if not text.isdigit():
        raise InputError(f"the environment variable {name} is {text!r}; it must be a number")
    return int(text)
