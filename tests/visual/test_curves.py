"""The curves of one run: every loss has one that is told from the others."""

import re

from dualseg.visual.curves import LOSS_NAMES, curve_part


def looks(html: str) -> list[tuple[str, str]]:
    """Colour and dashes of every curve, from left to right through the document."""
    found = re.findall(r"<polyline[^>]*>", html)
    dashes = [re.search(r'stroke-dasharray="([^"]*)"', curve) for curve in found]
    colors = [re.findall(r'stroke="([^"]*)"', curve)[0] for curve in found]
    return [(color, dash[1] if dash else "") for color, dash in zip(colors, dashes, strict=True)]


def test_every_loss_has_a_curve_that_is_told_from_the_others() -> None:
    names = LOSS_NAMES
    entries = [{"step": step, **dict.fromkeys(names, 1.0 / step)} for step in range(1, 4)]
    html = curve_part(entries, [])
    assert len(names) > 6  # more than there are colours
    assert len(set(looks(html))) == len(looks(html)) == len(names)
    assert html.count("<li>") == len(names)


def test_few_losses_are_told_by_their_colour_alone() -> None:
    entries = [{"step": step, **dict.fromkeys(LOSS_NAMES[:6], 1.0)} for step in range(1, 4)]
    html = curve_part(entries, [])
    assert len({color for color, _ in looks(html)}) == 6
    assert "dasharray" not in html
