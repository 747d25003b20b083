"""Numbers in sentences."""


def counted(number: int, noun: str) -> str:
    """`1 image`, `3 images`: a noun whose plural ends in s, as often as it is there."""
    return f"{number} {noun}{'s' * (number != 1)}"
