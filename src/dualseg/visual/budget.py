"""A page stays below a size: galleries that no longer fit are left out, and said to be."""

from collections.abc import Callable, Iterable

PAGE_LIMIT = 14_000_000
"""Bytes of pictures in a page; with its text it stays below 15 MB."""


class PictureBudget:
    """Counts what the pictures of one page take.

    Args:
        num_bytes: For all galleries together.
    """

    def __init__(self, num_bytes: int = PAGE_LIMIT):
        self.left = num_bytes
        self.left_out: list[str] = []

    def fill(self, shots: Iterable[tuple[str, Callable[[], str]]]) -> list[str]:
        """The HTML of as many shots as fit, in their order; the others' names are kept.

        Args:
            shots: (name of the image, what makes its HTML). Once the page is full, none is made.
        """
        kept = []
        for name, make in shots:
            html = make() if self.left > 0 else ""
            size = len(html.encode("utf-8", "backslashreplace"))  # as `write_text` writes it
            if html and size <= self.left:
                self.left -= size
                kept.append(html)
            else:
                self.left = 0
                self.left_out.append(name)
        return kept

    def words(self) -> str:
        """What was left out, and where it can be seen; nothing where all fitted."""
        if not self.left_out:
            return ""
        names = ", ".join(dict.fromkeys(self.left_out))
        return (
            f"The page is full: {len(self.left_out)} pictures were left out ({names}). They lie in "
            "the run folders, under evaluation/gallery, as far as the runs keep them."
        )
