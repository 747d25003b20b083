"""Class names that people take for one, and programs for two."""

import unicodedata
from collections.abc import Iterable

from dualseg.core.errors import first_few


def lookalikes(names: Iterable[str]) -> list[str]:
    """Different names that look alike: but for blanks around them, or for the way their accents
    are composed, they are one.

    Args:
        names: A name may stand there several times.

    Returns:
        One text a group, `'car' and 'car '`; what cannot be seen is escaped.
    """
    groups: dict[str, list[str]] = {}
    for name in dict.fromkeys(names):
        groups.setdefault(unicodedata.normalize("NFC", name).strip(), []).append(name)
    return [
        " and ".join(first_few([ascii(name) for name in group], 3))
        for group in groups.values()
        if len(group) > 1
    ]
