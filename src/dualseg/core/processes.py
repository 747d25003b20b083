"""The processes that train one network together: who this one is, and what they tell each other.

`torchrun` starts them and says in the environment who is who. They meet in a store of their own for
every attempt: torchrun's is shared between restarts, and the addresses of dead processes would be
read from it.
"""

import os
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import timedelta
from functools import cache
from itertools import count
from typing import Any

import torch
import torch.distributed as dist
from torch import Tensor, nn

from dualseg.core.errors import InputError

TIMEOUT_VARIABLE = "DUALSEG_PROCESS_TIMEOUT"  # seconds
TIMEOUT_SECONDS = 600
SECONDS_FOR_A_NOTE = 3.0  # a failing process leaves its note before its connections break
SECONDS_BETWEEN_LOOKS = 0.1
FAILURE_NOTE = "failure"
_MEETINGS = count()  # of this process; a second one must not read the addresses of the first
NEEDED = ("RANK", "WORLD_SIZE", "MASTER_ADDR", "MASTER_PORT")


class OtherProcessFailedError(Exception):
    """Another process of this run ended, so this one has to end too.

    Args:
        exit_code: The other one's, as it said; 1 where it ended without a word.
        is_known: Whether the other process, or a third, has told the reason.
    """

    def __init__(self, exit_code: int, *, is_known: bool):
        self.exit_code = exit_code
        self.is_known = is_known
        told = "it has said why" if is_known else "it did not say why; it may have been killed"
        super().__init__(f"another process of this run ended: {told}")


@dataclass(frozen=True)
class Processes:
    """This process among those of its run. Every method is called by all of them, in one order.

    Args:
        rank: Number of this process, from 0.
        world: How many there are.
        local_rank: Number of this process on its machine; also that of its GPU.
        attempt: How often they were started anew by torchrun.
        store: Where they leave notes for each other; None where there is but one.
        holds_store: Whether the store lives in this process, so that it has to leave last.
    """

    rank: int = 0
    world: int = 1
    local_rank: int = 0
    attempt: int = 0
    store: dist.Store | None = None
    holds_store: bool = False

    @property
    def is_first(self) -> bool:
        """Whether this is the one that writes files and speaks."""
        return self.rank == 0

    @property
    def are_many(self) -> bool:
        return self.world > 1

    def total(self, values: Tensor) -> Tensor:
        """The sum over all processes, on the CPU in double precision or int64; the same everywhere.

        Args:
            values: Of one shape in every process.
        """
        if not self.are_many:
            return values
        dtype = torch.float64 if values.is_floating_point() else torch.int64
        summed = values.detach().to("cpu", dtype).clone()
        dist.all_reduce(summed)
        return summed

    def largest(self, *numbers: int) -> list[int]:
        """The largest of each number over all processes."""
        if not self.are_many:
            return list(numbers)
        tensor = torch.tensor(numbers, dtype=torch.int64)
        dist.all_reduce(tensor, op=dist.ReduceOp.MAX)
        return [int(number) for number in tensor]

    def gather(self, item: Any) -> list[Any]:
        """Every process's item, in the order of their numbers."""
        if not self.are_many:
            return [item]
        items: list[Any] = [None] * self.world
        dist.all_gather_object(items, item)
        return items

    def from_first(self, item: Any) -> Any:
        """The first process's item."""
        if not self.are_many:
            return item
        items = [item]
        dist.broadcast_object_list(items, src=0)
        return items[0]

    def copy_buffers(self, model: nn.Module) -> None:
        """Every process gets the first one's floating-point buffers: running statistics."""
        buffers = [buffer for buffer in model.buffers() if buffer.is_floating_point()]
        if not self.are_many or not buffers:
            return
        flat = torch.cat([buffer.detach().reshape(-1).float() for buffer in buffers])
        dist.broadcast(flat, src=0)
        sizes = [buffer.numel() for buffer in buffers]
        for buffer, values in zip(buffers, flat.split(sizes), strict=True):
            buffer.copy_(values.view_as(buffer))

    @contextmanager
    def first_goes_first(self, task: str) -> Iterator[None]:
        """The first process runs the block while the others wait; then they run it.

        However long it takes: no connection times out meanwhile.

        Args:
            task: A name that no other block of this run has.
        """
        if self.store is not None and not self.is_first:
            while not self.store.check([task]):
                self._leave_if_another_failed()
                time.sleep(SECONDS_BETWEEN_LOOKS)
        yield
        if self.store is not None and self.is_first:
            self.store.set(task, "done")

    def note_failure(self, exit_code: int) -> bool:
        """Tells the others that this process ends; False where another has told so before."""
        if self.store is None:
            return True
        mine = f"{self.rank} {exit_code}"
        try:
            return self.store.compare_set(FAILURE_NOTE, "", mine) == mine.encode()
        except RuntimeError:  # the store went with its process, which has spoken for itself
            return False

    def failure(self, *, wait_seconds: float = 0.0) -> OtherProcessFailedError | None:
        """What another process noted before it ended, if one did."""
        deadline = time.monotonic() + wait_seconds
        while self.store is not None:
            try:
                if self.store.check([FAILURE_NOTE]):
                    rank, code = self.store.get(FAILURE_NOTE).decode().split()
                    return (
                        OtherProcessFailedError(int(code), is_known=True)
                        if int(rank) != self.rank
                        else None
                    )
            except RuntimeError:  # as above
                return None
            if time.monotonic() > deadline:
                return None
            time.sleep(SECONDS_BETWEEN_LOOKS)
        return None

    def leave(self) -> None:
        """Ends the connections; nothing is waited for, but by the one that holds the store."""
        dist.destroy_process_group()
        assert self.store is not None
        if not self.holds_store:
            self.store.set(f"left {self.rank}", "yes")
            return
        self.store.wait([f"left {rank}" for rank in range(1, self.world)])

    def _leave_if_another_failed(self) -> None:
        failure = self.failure()
        if failure is not None:
            raise failure


ALONE = Processes()


@contextmanager
def joined_processes() -> Iterator[Processes]:
    """Joins the processes `torchrun` started, for the time of the block; alone without it.

    When one process fails the others raise `OtherProcessFailedError`, so that one message is told.

    Raises:
        InputError: The environment names only a part of what is needed, or they did not meet.
    """
    world = _number(os.environ, "WORLD_SIZE", 1)
    if world == 1:
        yield Processes(attempt=_number(os.environ, "TORCHELASTIC_RESTART_COUNT", 0))
        return
    processes = _join(os.environ, world)
    try:
        yield processes
    except OtherProcessFailedError:
        raise
    except BaseException as error:
        cause = _other_failure(processes, error)
        if cause is not None:
            raise cause from error
        raise
    processes.leave()


def exit_code_of(error: BaseException) -> int:
    """The exit code the command line gives an error: its own, 2 for wrong input, 130, or 1."""
    code = getattr(error, "exit_code", None)
    if isinstance(code, int):
        return code
    if isinstance(error, KeyboardInterrupt):
        return 130
    return 2 if isinstance(error, InputError) else 1


def _other_failure(processes: Processes, error: BaseException) -> OtherProcessFailedError | None:
    """What to raise instead of an error that another process tells of; None where it is ours."""
    if not _tells_of_lost_connection(error):
        code = exit_code_of(error)
        if processes.note_failure(code):
            return None
        failure = processes.failure()
        return OtherProcessFailedError(failure.exit_code if failure else code, is_known=True)
    failure = processes.failure(wait_seconds=SECONDS_FOR_A_NOTE)
    return failure or OtherProcessFailedError(1, is_known=not processes.note_failure(1))


def _tells_of_lost_connection(error: BaseException) -> bool:
    words = ("connection", "socket", "gloo", "nccl", "timed out", "store")
    return isinstance(error, RuntimeError) and any(word in str(error).lower() for word in words)


def _join(environment: Mapping[str, str], world: int) -> Processes:
    missing = [name for name in NEEDED if name not in environment]
    if missing:
        raise InputError(
            f"WORLD_SIZE is {world} but {', '.join(missing)} are not set; start many processes "
            "with torchrun --nproc-per-node N -m dualseg ..., or unset WORLD_SIZE"
        )
    rank = _number(environment, "RANK", 0)
    seconds = _number(environment, TIMEOUT_VARIABLE, TIMEOUT_SECONDS)
    attempt = _number(environment, "TORCHELASTIC_RESTART_COUNT", 0)
    holds_store = rank == 0 and environment.get("TORCHELASTIC_USE_AGENT_STORE") != "True"
    host, port = environment["MASTER_ADDR"], _number(environment, "MASTER_PORT", 0)
    try:
        store = _open_store(host, port, holds_store, seconds)
        own = dist.PrefixStore(f"dualseg/attempt_{attempt}/{next(_MEETINGS)}", store)
        backend = "cpu:gloo,cuda:nccl" if torch.cuda.is_available() else "gloo"
        dist.init_process_group(
            backend, store=own, rank=rank, world_size=world, timeout=timedelta(seconds=seconds)
        )
        # Others are still connecting when the first one is done. Were it to fail at once, the store
        # would go with it, and they would tell of that in place of its error.
        own.set(f"met {rank}", "yes")
        if holds_store:
            own.wait([f"met {other}" for other in range(world)])
    except (RuntimeError, ValueError) as error:  # torch's store errors are RuntimeErrors
        first_line = str(error).strip().splitlines()[0] if str(error).strip() else repr(error)
        raise InputError(
            f"process {rank} of {world} did not meet the others at "
            f"{environment['MASTER_ADDR']}:{environment['MASTER_PORT']} ({first_line})"
        ) from error
    local_rank = _number(environment, "LOCAL_RANK", rank)
    return Processes(rank, world, local_rank, attempt, own, holds_store)


@cache  # one for all meetings of this process: another may still be leaving the one before
def _open_store(host: str, port: int, holds_store: bool, seconds: int) -> dist.TCPStore:
    return dist.TCPStore(
        host,
        port,
        is_master=holds_store,
        timeout=timedelta(seconds=seconds),
        wait_for_workers=False,
    )


def _number(environment: Mapping[str, str], name: str, default: int) -> int:
    text = environment.get(name, str(default))
    if not text.isdigit():
        raise InputError(f"the environment variable {name} is {text!r}; it must be a number")
    return int(text)
