"""Errors a user can cause. The command line prints them as one message and exits with code 2."""

import difflib
from collections.abc import Iterable


class InputError(ValueError):
    """The user's input is wrong: the message says what came, what is allowed and what to do.

    Args:
        message: The whole message, or its headline where `problems` are given.
        problems: Every fault found, one line each; all of them are shown at once.
    """

    def __init__(self, message: str, problems: Iterable[str] = ()):
        self.headline = message
        self.problems = tuple(problems)
        super().__init__("\n  - ".join([message, *self.problems]))


def nearest(name: str, allowed: Iterable[str]) -> str:
    """A hint with the allowed names closest to `name`; all of them where none is close.

    Returns:
        For example `did you mean resnet18, resnet34?` or `allowed: fcn, deeplabv3`.
    """
    allowed = list(allowed)
    close = difflib.get_close_matches(name, allowed, n=3, cutoff=0.6)
    if close:
        return f"did you mean {', '.join(close)}?"
    shown = sorted(allowed)
    more = f" and {len(shown) - 20} more" if len(shown) > 20 else ""
    return f"allowed: {', '.join(shown[:20])}{more}"
