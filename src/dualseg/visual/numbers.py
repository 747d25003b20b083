"""How our pages write numbers."""


def score_text(score: float | None) -> str:
    """A score with three decimals, a dash where there is none."""
    return "–" if score is None else f"{score:.3f}"


def percent_text(share: float, decimals: int = 1) -> str:
    """0.257 -> `25.7 %`."""
    return f"{100 * share:.{decimals}f} %"


def short_number(value: float) -> str:
    """1500 -> 1.5k; 0.00025 -> 2.5e-4; 0.30000 -> 0.3."""
    if abs(value) >= 1000:
        for divisor, unit in ((1e9, "G"), (1e6, "M"), (1e3, "k")):
            if abs(value) >= divisor:
                return f"{value / divisor:.4g}{unit}"
    if 0 < abs(value) < 0.001:
        mantissa, exponent = f"{value:.1e}".split("e")
        return f"{mantissa.removesuffix('.0')}e{int(exponent)}"
    return f"{value:.4g}"
