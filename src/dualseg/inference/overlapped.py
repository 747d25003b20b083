"""Files read and written while the network computes for others."""

import copy
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from threading import Lock
from typing import TypeVar

from torch import Tensor

from dualseg.inference.predictor import Predictor
from dualseg.inference.strategies import LogitsFunction, unresized

Given = TypeVar("Given")
Made = TypeVar("Made")

IN_FLIGHT = 3  # one being read, one in the network, one being written


def overlapped(
    work: Callable[[Given], Made], items: Iterable[Given], *, in_flight: int = IN_FLIGHT
) -> Iterator[Made]:
    """`map` with a few items at once, each in a thread; results come in order.

    Args:
        work: May be called from several threads at once.
        items: Taken as room becomes free.
        in_flight: So many at most, done or not, before the first of them is handed out.

    Raises:
        BaseException: What `work` raised, at its item's turn; nothing more is begun then.
    """
    waiting: deque[Future[Made]] = deque()
    with ThreadPoolExecutor(in_flight) as pool:
        try:
            for item in items:
                if len(waiting) == in_flight:
                    yield waiting.popleft().result()
                waiting.append(pool.submit(work, item))
            while waiting:
                yield waiting.popleft().result()
        finally:
            for future in waiting:
                future.cancel()


def one_at_a_time(predictor: Predictor) -> Predictor:
    """The predictor with a network that several threads may call and that runs once at a time.

    Its threads are all busy with one image already; two at once would only hold memory for both.
    """
    in_turn = copy.copy(predictor)
    in_turn.logits = _OneAtATime(predictor.logits)
    return in_turn


class _OneAtATime:
    def __init__(self, logits: LogitsFunction):
        self.logits = logits
        self.lock = Lock()

    def __call__(self, images: Tensor) -> Tensor:
        with self.lock:
            return self.logits(images)

    def small(self, images: Tensor) -> Tensor:
        """As `Whole.small`, where the function has it."""
        with self.lock:
            return unresized(self.logits, images)
