"""Readers of a page that note what is wrong with it."""

from html.parser import HTMLParser


class TagChecker(HTMLParser):
    """Finds tags that are never closed, and everything a page would fetch."""

    def __init__(self) -> None:
        super().__init__()
        self.open: list[str] = []
        self.tags: list[str] = []
        self.fetched: list[str] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append(tag)
        if tag not in ("meta", "img", "input", "wbr"):
            self.open.append(tag)
        for name, value in attrs:
            if name in ("src", "href") and not (value or "").startswith(("data:", "#")):
                self.fetched.append(str(value))

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append(tag)

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag


def checked(html: str) -> TagChecker:
    checker = TagChecker()
    checker.feed(html)
    assert checker.open == []
    return checker


class Accessibility(HTMLParser):
    """What a screen reader or a keyboard needs."""

    def __init__(self) -> None:
        super().__init__()
        self.ids: list[str] = []
        self.links: list[str] = []
        self.unnamed: list[str] = []
        self.levels: list[int] = []
        self.headless_tables = 0

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        values = dict(attrs)
        if values.get("id"):
            self.ids.append(str(values["id"]))
        if (values.get("href") or "").startswith("#"):
            self.links.append(str(values["href"])[1:])
        if tag == "img" and not values.get("alt"):
            self.unnamed.append(tag)
        if tag in ("svg", "input", "nav") and not (
            values.get("aria-label") or values.get("aria-hidden")
        ):
            self.unnamed.append(tag)
        if "tabindex" in values and not values.get("aria-label"):
            self.unnamed.append(tag)
        if tag in ("h1", "h2", "h3"):
            self.levels.append(int(tag[1]))
        if tag == "table":
            self.headless_tables += 1
        if tag == "thead":
            self.headless_tables -= 1
