"""What a run tells whoever watches it. The default says nothing."""

from collections.abc import Mapping
from typing import Protocol


class Progress(Protocol):
    """Callbacks of `train` and `resume`. None of them may change the run."""

    def started(self, step: int, max_steps: int) -> None:
        """Training begins, or goes on, with `step` steps done."""

    def stepped(self, step: int, max_steps: int, losses: Mapping[str, float], lr: float) -> None:
        """Step number `step` is done; `losses` holds each weighted term and `loss`, their sum."""

    def looking(self, what: str, done: int, total: int) -> None:
        """Before the first step: `done` of `total` files are looked at for `what`."""

    def evaluating(self, done: int, total: int) -> None:
        """`done` of `total` validation images are scored."""

    def evaluated(self, step: int, scores: Mapping[str, float], is_best: bool) -> None:
        """The validation after step `step` is done."""

    def message(self, text: str) -> None:
        """One line a person should see."""


class Silent:
    """Shows nothing."""

    def started(self, step: int, max_steps: int) -> None:
        pass

    def stepped(self, step: int, max_steps: int, losses: Mapping[str, float], lr: float) -> None:
        pass

    def looking(self, what: str, done: int, total: int) -> None:
        pass

    def evaluating(self, done: int, total: int) -> None:
        pass

    def evaluated(self, step: int, scores: Mapping[str, float], is_best: bool) -> None:
        pass

    def message(self, text: str) -> None:
        pass
