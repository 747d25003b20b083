"""What stands along the street: buildings, trees, hedges, railings, poles, signs and wires."""

import cv2
import numpy as np

from dualseg.data.scenes.canvas import Camera, Canvas
from dualseg.data.scenes.ground import FAR, Street
from dualseg.data.scenes.materials import (
    LEAVES,
    METAL,
    PAINTS,
    WALLS,
    WOOD,
    Id,
    Random,
    crowns,
    pick,
    wall,
)

WIRE_RADIUS = 0.03  # metres
CLOSEST_BARS = 5  # canvas pixels; closer ones would merge


def draw_buildings(canvas: Canvas, camera: Camera, street: Street, random: Random) -> None:
    """Both sides of the street, far to near, with gaps that hold a hedge or a garden wall."""
    sunny = int(random.choice([-1, 1]))
    for side in (-1, 1):
        light = 1.0 if side == sunny else random.uniform(0.6, 0.8)
        blocks, z = [], 1.3
        while z < 80:
            length = random.uniform(7, 16) * (1 + z / 40)
            blocks.append((z, min(z + length, FAR), random.random() < 0.16))
            z += length
        for near, far, is_gap in reversed(blocks):
            draw = _draw_gap if is_gap else _draw_block
            draw(canvas, camera, side * street.walls, (near, far), light, random)


def _draw_block(
    canvas: Canvas,
    camera: Camera,
    x: float,
    depth: tuple[float, float],
    light: float,
    random: Random,
) -> None:
    near, far = depth
    height = random.uniform(6, 15)
    length = min(far - near, 20.0)
    face = np.asarray(cv2.convertScaleAbs(wall(random, length, height), alpha=light), np.uint8)
    ends = [(x, height, far), (x, height, near), (x, 0.0, near), (x, 0.0, far)]
    corners = camera.points(ends)
    outer = x + np.sign(x) * random.uniform(7, 10)  # the gable that looks along the street
    gable = [(x, height, near), (outer, height, near), (outer, 0.0, near), (x, 0.0, near)]
    canvas.polygon(camera.points(gable), pick(random, WALLS) * 0.75, Id.BUILDING)
    canvas.texture(face, corners, Id.BUILDING)


def _draw_gap(
    canvas: Canvas,
    camera: Camera,
    x: float,
    depth: tuple[float, float],
    light: float,
    random: Random,
) -> None:
    near, far = depth
    height = random.uniform(1.2, 2.2)
    ends = [(x, height, far), (x, height, near), (x, 0.0, near), (x, 0.0, far)]
    if random.random() < 0.5:
        canvas.polygon(camera.points(ends), pick(random, LEAVES) * light * 0.8, Id.VEGETATION)
    else:
        canvas.polygon(camera.points(ends), pick(random, WALLS) * light, Id.BUILDING)
    for z in np.linspace(far, near + 1.0, 3):
        draw_tree(canvas, camera, x + np.sign(x) * 2.5, float(z), random)


def draw_tree(canvas: Canvas, camera: Camera, x: float, z: float, random: Random) -> None:
    """A trunk, as thin and brown as a pole, and a crown with holes in it."""
    trunk, radius = random.uniform(1.8, 2.8), random.uniform(1.2, 2.3)
    middle = trunk + radius * 0.8
    foot, top = camera.point(x, 0, z), camera.point(x, middle, z)
    width = max(2, camera.pixels(random.uniform(0.16, 0.3), z))
    canvas.line([foot, top], pick(random, WOOD), Id.VEGETATION, width)
    light, mask = crowns()[int(random.integers(len(crowns())))]
    if random.random() < 0.5:
        light, mask = light[:, ::-1], mask[:, ::-1]
    column, row = camera.point(x, middle, z)
    half = camera.pixels(radius, z)
    box = (column - half, row - half, column + half, row + half)
    canvas.stamp(
        np.ascontiguousarray(light),
        np.ascontiguousarray(mask),
        box,
        pick(random, LEAVES) * 1.15,
        Id.VEGETATION,
    )


def draw_railing(
    canvas: Canvas, camera: Camera, x: float, near: float, length: float, random: Random
) -> None:
    """Two rails, posts, and thin bars between them; what is seen through it keeps its class."""
    color = pick(random, METAL)
    far = near + length
    for height in (1.0, 0.18):
        ends = [(x, height, near), (x, height, far)]
        canvas.line(camera.points(ends), color, Id.RAILING, camera.pixels(0.04, near + 2))
    spacing = random.choice([0.25, 0.4, 0.7])
    latest = float("inf")
    for place, z in enumerate(np.arange(far, near - 0.01, -spacing)):
        is_post = place % round(2.0 / spacing) == 0
        column = camera.point(x, 0, z)[0]
        if abs(column - latest) < CLOSEST_BARS and not is_post:
            continue
        latest = column
        width = camera.pixels(0.07 if is_post else 0.025, z)
        ends = [(x, 0.0, float(z)), (x, 1.06 if is_post else 1.0, float(z))]
        canvas.line(camera.points(ends), color * (0.85 if is_post else 1), Id.RAILING, width)


def draw_lamp(canvas: Canvas, camera: Camera, x: float, z: float, random: Random) -> None:
    """A lamp post whose arm hangs over the road."""
    color, height = pick(random, METAL), random.uniform(5, 7)
    width = max(2, camera.pixels(0.11, z))
    arm = x - np.sign(x) * random.uniform(0.8, 1.8)
    bend = [(x, 0.0, z), (x, height - 0.4, z), (x - np.sign(x) * 0.3, height, z), (arm, height, z)]
    canvas.line(camera.points(bend), color, Id.POLE, width)
    canvas.line(camera.points([(x, 0.0, z), (x, 1.0, z)]), color * 0.8, Id.POLE, width * 1.6)
    size = (camera.pixels(0.3, z), camera.pixels(0.09, z))
    canvas.ellipse(camera.point(arm, height, z), size, (214, 212, 196), Id.POLE)


def draw_utility_line(
    canvas: Canvas, camera: Camera, x: float, first: float, random: Random
) -> None:
    """Wooden poles with cross-arms and the wires between them, far to near."""
    color, height = pick(random, WOOD), random.uniform(6.0, 7.5)
    spacing = random.uniform(10, 16)
    arms = [-0.6, 0.6] if random.random() < 0.5 else [-0.7, 0.0, 0.7]
    places = [first + spacing * i for i in range(4)]
    for z in reversed(places):
        for arm in arms:
            _draw_wire(canvas, camera, (x + arm, height, z), (x + arm, height, z + spacing))
        width = max(2, camera.pixels(0.2, z))
        canvas.line(camera.points([(x, 0.0, z), (x, height + 0.3, z)]), color, Id.POLE, width)
        ends = [(x - 0.8, height, z), (x + 0.8, height, z)]
        canvas.line(camera.points(ends), color, Id.POLE, max(2, camera.pixels(0.1, z)))
    for arm in arms:  # the span that passes over the camera
        _draw_wire(canvas, camera, (x + arm, height, 1.3), (x + arm, height, first))


def draw_span_wire(
    canvas: Canvas, camera: Camera, street: Street, z: float, random: Random
) -> None:
    """A wire across the street, from wall to wall; sometimes a lamp hangs from it."""
    height = random.uniform(4.8, 6.2)
    ends = (-street.walls, height, z), (street.walls, height + random.uniform(-0.6, 0.6), z)
    _draw_wire(canvas, camera, *ends)
    if random.random() < 0.5:
        hung = camera.point(0, height - 0.5, z)
        canvas.ellipse(hung, (camera.pixels(0.2, z), camera.pixels(0.16, z)), (80, 82, 84), Id.POLE)


def _draw_wire(
    canvas: Canvas,
    camera: Camera,
    start: tuple[float, float, float],
    end: tuple[float, float, float],
) -> None:
    """A sagging wire, in pieces as wide as they look from here, never below a final pixel."""
    steps = np.linspace(0, 1, 9)
    ends = np.array(start), np.array(end)
    path = ends[0] + (ends[1] - ends[0]) * steps[:, None]
    path[:, 1] -= 0.5 * 4 * steps * (1 - steps)
    points = camera.points([(float(x), float(y), float(z)) for x, y, z in path])
    nearest = float(min(start[2], end[2]))
    width = min(4.0, max(2.0, camera.pixels(2 * WIRE_RADIUS, nearest)))
    canvas.line(points, (38, 38, 42), Id.WIRE, width)


def draw_sign(canvas: Canvas, camera: Camera, x: float, z: float, random: Random) -> None:
    """A traffic sign or traffic light on a thin pole."""
    height, size = random.uniform(2.1, 2.8), random.uniform(0.3, 0.42)
    color = pick(random, METAL)
    ends = [(x, 0.0, z), (x, height, z)]
    canvas.line(camera.points(ends), color, Id.POLE, max(2, camera.pixels(0.07, z)))
    center, half = camera.point(x, height, z), camera.pixels(size, z)
    kind = int(random.integers(5))
    face, rim = ((240, 240, 236), (196, 26, 30)) if kind < 2 else (pick(random, PAINTS), (240,) * 3)
    column, row = center
    if kind == 0:
        canvas.ellipse(center, (half, half), rim, Id.SIGN)
        canvas.ellipse(center, (half * 0.66, half * 0.66), face, Id.SIGN)
    elif kind == 1:
        for share, tone in ((1.0, rim), (0.55, face)):
            base = row + half * 0.8 * share
            tip = (column, row - half * 1.1 * share)
            sides = [(column - half * 1.1 * share, base), (column + half * 1.1 * share, base)]
            canvas.polygon([tip, *sides], tone, Id.SIGN)
    elif kind == 4:
        _draw_traffic_light(canvas, center, half, random)
    else:
        wide = half * random.choice([1.0, 1.7])
        for share, tone in ((1.0, rim), (0.82, face)):
            _box(canvas, (column, row), (wide * share, half * share), tone)
        canvas.line(
            [(column - wide * 0.5, row), (column + wide * 0.5, row)], rim, Id.SIGN, half / 4
        )


def _draw_traffic_light(
    canvas: Canvas, center: tuple[float, float], half: float, random: Random
) -> None:
    column, row = center
    _box(canvas, center, (half * 0.55, half * 1.4), (30, 32, 34))
    lit = int(random.integers(3))
    for place, tone in enumerate(((230, 40, 36), (236, 176, 40), (50, 210, 120))):
        middle = (column, row + (place - 1) * half * 0.85)
        shown = tone if place == lit else (58, 58, 58)
        canvas.ellipse(middle, (half * 0.3, half * 0.3), shown, Id.SIGN)


def _box(
    canvas: Canvas,
    center: tuple[float, float],
    half: tuple[float, float],
    color: tuple[int, ...] | np.ndarray,
) -> None:
    (x, y), (wide, high) = center, half
    corners = [
        (x - wide, y - high),
        (x + wide, y - high),
        (x + wide, y + high),
        (x - wide, y + high),
    ]
    canvas.polygon(corners, color, Id.SIGN)
