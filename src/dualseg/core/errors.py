"""Errors a user can cause. The command line prints them as one message and exits with code 2."""

import difflib
from collections.abc import Iterable, Sequence


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


def first_few(items: Sequence[str], count: int = 5, *, what: str = "") -> list[str]:
    """The first `count` of many lines, and one line that counts the rest.

    Args:
        items: All of them.
        count: So many are shown.
        what: Follows the number: `... and 7 more` and this.
    """
    rest = len(items) - count
    if rest <= 0:
        return list(items)
    return [*items[:count], f"... and {rest} more {what}".rstrip()]


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
