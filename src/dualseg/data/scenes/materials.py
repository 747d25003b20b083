"""What the scenes are made of: class ids, colours, brick walls with windows, tree crowns."""

from enum import IntEnum
from functools import cache

import cv2
import numpy as np
from numpy.typing import NDArray

Random = np.random.Generator
Picture = NDArray[np.uint8]


class Id(IntEnum):
    """Class ids; thin things have the higher ones (see `Canvas.shrunk`)."""

    SKY = 0
    BUILDING = 1
    ROAD = 2
    PAVEMENT = 3
    VEGETATION = 4
    CAR = 5
    PEDESTRIAN = 6
    BICYCLIST = 7
    SIGN = 8
    RAILING = 9
    POLE = 10
    WIRE = 11
    IGNORED = 255


# Walls, paint, clothes and signs share colours on purpose: colour alone must not tell the class.
WALLS = (
    (142, 78, 62), (120, 62, 54), (164, 106, 82), (186, 160, 124), (206, 192, 166),
    (148, 146, 142), (112, 114, 118), (92, 84, 80), (170, 138, 104), (198, 176, 172),
    (124, 134, 122), (214, 208, 200),
)  # fmt: skip
PAINTS = (
    (196, 34, 36), (30, 62, 140), (236, 236, 232), (28, 28, 32), (122, 126, 132), (178, 182, 186),
    (60, 90, 70), (214, 176, 60), (90, 30, 40), (70, 110, 150), (148, 86, 62),
)  # fmt: skip
LEAVES = (
    (70, 108, 48), (92, 126, 58), (52, 88, 50), (116, 132, 62), (150, 118, 50), (142, 84, 46),
    (84, 104, 72),
)  # fmt: skip
SKIN = ((224, 178, 148), (196, 144, 112), (140, 92, 66), (94, 62, 46))
METAL = ((64, 66, 70), (98, 100, 104), (144, 146, 148), (44, 54, 50), (172, 174, 172))
WOOD = ((92, 72, 54), (74, 58, 46), (112, 92, 74))

PIXELS_PER_METRE = 12


def pick(random: Random, colors: tuple[tuple[int, int, int], ...]) -> NDArray[np.float64]:
    """One of the colours, somewhat lighter or darker."""
    color = np.array(colors[int(random.integers(len(colors)))], np.float64)
    return np.clip(color * random.uniform(0.85, 1.12) + random.normal(0, 4, 3), 0, 255)


def wall(random: Random, length: float, height: float) -> Picture:
    """A facade: courses of brick, rows of windows, a shop or a door below, drainpipes.

    Args:
        random: Everything is drawn from it.
        length, height: Metres.

    Returns:
        (height, length, 3) at `PIXELS_PER_METRE`.
    """
    scale = PIXELS_PER_METRE
    rows, columns = max(scale, round(height * scale)), max(scale, round(length * scale))
    base = pick(random, WALLS)
    bricks = _bricks(random, rows, columns, strong=random.random() < 0.6)
    tones = [bricks + value for value in base.astype(np.float32)]
    face = np.stack([np.clip(tone, 0, 255).astype(np.uint8) for tone in tones], axis=-1)
    _add_windows(face, base, random)
    _add_ground_floor(face, base, random)
    for column in random.integers(0, columns, int(random.integers(0, 3))):
        face[:, column : column + 2] = base * random.uniform(0.45, 0.7)
    face[: scale // 3] = np.clip(base * random.uniform(0.6, 1.25), 0, 255)
    return face


def _bricks(random: Random, rows: int, columns: int, *, strong: bool) -> NDArray[np.float32]:
    courses = random.normal(0, 13 if strong else 4, (rows // 3 + 1, columns // 6 + 1))
    face = cv2.resize(courses.astype(np.float32), (columns, rows), interpolation=cv2.INTER_NEAREST)
    if strong:
        face[::3] += random.choice([-26.0, 22.0])
    small = random.normal(0, 9, (3, 5)).astype(np.float32)
    stains = cv2.resize(small, (columns, rows), interpolation=cv2.INTER_CUBIC)
    return np.asarray(face + stains, np.float32)


def _add_windows(face: Picture, base: NDArray[np.float64], random: Random) -> None:
    """A grid of windows; each reflects something else, and some have a bright frame."""
    rows, columns = face.shape[:2]
    floor, pitch = int(random.integers(34, 42)), int(random.integers(18, 38))
    high, wide = int(floor * random.uniform(0.42, 0.68)), int(pitch * random.uniform(0.4, 0.75))
    glass = np.array(random.choice([(54, 62, 74), (88, 104, 122), (34, 36, 42)]), np.float64)
    frame = np.clip(base * 0.4 + random.choice([0.0, 140.0]), 0, 255)
    sill = np.clip(base * 1.25, 0, 255)
    for top in range(rows - floor * 2 + 6, 4, -floor):
        for left in range(pitch // 3, columns - wide, pitch):
            pane = face[top : top + high, left : left + wide]
            pane[:] = frame
            pane[1:-1, 1:-1] = glass * random.uniform(0.55, 1.7)
            pane[:, wide // 2] = frame
            face[top + high : top + high + 2, left - 1 : left + wide + 1] = sill


def _add_ground_floor(face: Picture, base: NDArray[np.float64], random: Random) -> None:
    """A shop with an awning in a sign's colour, or a plinth with doors."""
    rows, columns = face.shape[:2]
    floor = min(rows, 3 * PIXELS_PER_METRE)
    band = face[rows - floor :]
    if random.random() < 0.55:
        front, stripe = pick(random, PAINTS), pick(random, PAINTS)
        band[:] = front * 0.7
        for left in range(3, columns - 22, 26):
            band[12:-4, left : left + 22] = random.uniform(25, 120) * np.array([0.9, 1.0, 1.1])
        band[4:11] = stripe
        band[4:11, ::8], band[4:11, 1::8] = front, front
        return
    band[-6:] = base * 0.6
    for left in range(int(random.integers(6, 30)), columns - 12, 60):
        band[floor // 3 : -2, left : left + 11] = pick(random, PAINTS) * 0.6


@cache
def crowns() -> tuple[tuple[Picture, Picture], ...]:
    """Tree crowns as (brightness, mask), 96 x 96; the same ones in every scene."""
    random = np.random.Generator(np.random.Philox(20))
    return tuple(_crown(random) for _ in range(12))


def _crown(random: Random) -> tuple[Picture, Picture]:
    side = 96
    grid = np.linspace(-1, 1, side, dtype=np.float32)
    lumps = np.zeros((side, side), np.float32)
    for size, weight in ((6, 0.5), (14, 0.45), (40, 0.35)):
        noise = random.normal(0, 1, (size, size)).astype(np.float32)
        lumps += weight * cv2.resize(noise, (side, side), interpolation=cv2.INTER_CUBIC)
    inside = 1.05 - np.hypot(grid[None], grid[:, None] * 1.08) * 1.25 + 0.28 * lumps
    mask = np.where(inside > 0.12, 255, 0).astype(np.uint8)
    fine = random.normal(0, 1, (side, side)).astype(np.float32)
    light = 165 - 45 * grid[:, None] - 25 * grid[None] + 40 * lumps + 22 * fine
    return np.clip(light, 25, 255).astype(np.uint8), mask
