"""Sky and ground: clouds, skyline, road with marks and cracks, tiled pavements, verges."""

from dataclasses import dataclass

import cv2
import numpy as np

from dualseg.data.scenes.canvas import Camera, Canvas
from dualseg.data.scenes.materials import LEAVES, WALLS, Id, Random, crowns, pick

FAR = 120.0


@dataclass(frozen=True)
class Street:
    """The cross-section of a street, in metres from its middle.

    Args:
        kerb: Where the road ends.
        walls: Where the buildings begin.
    """

    kerb: float
    walls: float


def draw_sky(canvas: Canvas, camera: Camera, random: Random) -> None:
    """A gradient from zenith to horizon, clear or overcast, with clouds and a contrail."""
    height, width = canvas.size
    clear = random.random() < 0.55
    above = np.array((84, 132, 196) if clear else (150, 156, 164)) * random.uniform(0.8, 1.15)
    below = np.array((190, 208, 222) if clear else (206, 206, 204)) * random.uniform(0.9, 1.1)
    ramp = np.clip(np.linspace(0, 1.6, height), 0, 1)[:, None, None]
    small = random.normal(0, 1, (7, 9)).astype(np.float32)
    clouds = cv2.resize(small, (width // 4, height // 4), interpolation=cv2.INTER_CUBIC)
    finer = random.normal(0, 0.45, (20, 24)).astype(np.float32)
    clouds += cv2.resize(finer, (width // 4, height // 4), interpolation=cv2.INTER_CUBIC)
    cover = np.clip(clouds - (0.5 if clear else -0.2), 0, 1)[..., None] * 0.8
    sky = above + (below - above) * ramp[::4]
    sky = sky * (1 - cover) + (230 if clear else 186) * cover
    small_sky = np.clip(sky, 0, 255).astype(np.uint8)
    canvas.picture[:] = cv2.resize(small_sky, (width, height), interpolation=cv2.INTER_LINEAR)
    canvas.labels[:] = Id.SKY
    if clear and random.random() < 0.4:  # looks like a wire
        x, y = random.uniform(0, width, 2), random.uniform(0, camera.horizon[1], 2)
        canvas.line(list(zip(x, y, strict=True)), (236, 238, 240), Id.SKY, 2)


def draw_skyline(canvas: Canvas, camera: Camera, random: Random) -> None:
    """Hazy blocks and trees at the end of the street."""
    x, horizon = -20.0, camera.horizon[1]
    haze = np.array((176, 186, 196))
    while x < canvas.size[1]:
        wide, high = random.uniform(30, 80), random.uniform(10, 58)
        color = 0.5 * pick(random, WALLS) + 0.5 * haze
        roof, right = horizon - high, x + wide
        corners = [(x, roof), (right, roof), (right, horizon + 3), (x, horizon + 3)]
        canvas.polygon(corners, color, Id.BUILDING)
        for row in np.arange(roof + 4, horizon - 3, 7):
            canvas.line([(x + 3, row), (right - 3, row)], color * 0.82, Id.BUILDING, 2)
        x += wide * random.uniform(0.6, 1.1)
    for _ in range(int(random.integers(3, 9))):
        light, mask = crowns()[int(random.integers(len(crowns())))]
        left, size = random.uniform(-20, canvas.size[1]), random.uniform(16, 42)
        box = (left, horizon - size * 0.8, left + size * 1.4, horizon + size * 0.2)
        canvas.stamp(light, mask, box, 0.6 * pick(random, LEAVES) + 0.4 * haze, Id.VEGETATION)


def draw_ground(canvas: Canvas, camera: Camera, street: Street, random: Random) -> None:
    """Pavement from wall to wall, the road on it, and what lies on the road."""
    height, width = canvas.size
    horizon = camera.horizon[1]
    paving = np.array((138, 134, 130)) * random.uniform(0.75, 1.25)
    tarmac = np.array((94, 95, 99)) * random.uniform(0.75, 1.2)
    below = [(0, horizon), (width, horizon), (width, height), (0, height)]
    canvas.polygon(below, paving, Id.PAVEMENT)
    _draw_tiles(canvas, camera, street, paving * random.choice([0.86, 1.1]))
    _strip(canvas, camera, (-street.kerb, street.kerb), (0.1, FAR), tarmac, Id.ROAD)
    for side in (-1, 1):
        edge = (side * street.kerb, side * (street.kerb + 0.22))
        _strip(canvas, camera, edge, (0.1, 60), paving * 1.2, Id.PAVEMENT)
        if random.random() < 0.3:
            verge = (side * (street.kerb + 0.3), side * (street.kerb + 1.1))
            _strip(canvas, camera, verge, (0.1, FAR), pick(random, LEAVES), Id.VEGETATION)
    _draw_marks(canvas, camera, street, random)
    _draw_wear(canvas, camera, street, random)


def _strip(
    canvas: Canvas,
    camera: Camera,
    across: tuple[float, float],
    ahead: tuple[float, float],
    color: np.ndarray,
    class_id: int,
) -> None:
    (left, right), (near, far) = across, ahead
    near = max(near, 1.3)
    world = [(left, 0.0, near), (right, 0.0, near), (right, 0.0, far), (left, 0.0, far)]
    canvas.polygon(camera.points(world), color, class_id)


def _draw_tiles(canvas: Canvas, camera: Camera, street: Street, color: np.ndarray) -> None:
    for side in (-1, 1):
        for across in np.arange(street.kerb, street.walls, 0.9):
            ends = [(side * across, 0.0, 1.3), (side * across, 0.0, 30.0)]
            canvas.line(camera.points(ends), color, Id.PAVEMENT, 1)
        for ahead in np.arange(2.0, 16.0, 0.9):
            ends = [(side * street.kerb, 0.0, ahead), (side * street.walls, 0.0, ahead)]
            canvas.line(camera.points(ends), color, Id.PAVEMENT, 1)


def _draw_marks(canvas: Canvas, camera: Camera, street: Street, random: Random) -> None:
    """A broken or solid middle line, edge lines, sometimes a zebra crossing."""
    white = np.array((214, 214, 208)) * random.uniform(0.8, 1.1)
    step = random.choice([4.0, 6.0, 200.0])
    for near in np.arange(random.uniform(0, step if step < 50 else 1), 70, step):
        _strip(canvas, camera, (-0.08, 0.08), (near, near + min(0.55 * step, 80)), white, Id.ROAD)
    if random.random() < 0.6:
        for side in (-1, 1):
            edge = (side * (street.kerb - 0.3), side * (street.kerb - 0.42))
            _strip(canvas, camera, edge, (0.1, 60), white, Id.ROAD)
    if random.random() < 0.3:
        near = random.uniform(5, 14)
        for left in np.arange(-street.kerb + 0.3, street.kerb - 0.5, 0.95):
            _strip(canvas, camera, (left, left + 0.5), (near, near + 2.8), white, Id.ROAD)


def _draw_wear(canvas: Canvas, camera: Camera, street: Street, random: Random) -> None:
    """Patches of other tarmac, cracks that look like wires, a manhole."""
    for _ in range(int(random.integers(1, 4))):
        x, z = random.uniform(-street.kerb, street.kerb * 0.6), random.uniform(3, 25)
        wide, deep = random.uniform(0.5, 1.4), random.uniform(1, 6)
        world = [(x, 0.0, z), (x + wide, 0.0, z), (x + wide, 0.0, z + deep), (x, 0.0, z + deep)]
        canvas.shade(camera.points(world), random.choice([0.82, 0.9, 1.14]))
    for _ in range(int(random.integers(1, 5))):
        z = np.sort(random.uniform(2, 22, 5))
        x = random.uniform(-street.kerb, street.kerb) * 0.9 + np.cumsum(random.normal(0, 0.25, 5))
        x = np.clip(x, -street.kerb, street.kerb)
        path = [(float(across), 0.0, float(ahead)) for across, ahead in zip(x, z, strict=True)]
        canvas.line(camera.points(path), (44, 44, 46), Id.ROAD, 1)
    x, z = random.uniform(-0.8, 0.8) * street.kerb, random.uniform(4, 12)
    axes = (camera.pixels(0.35, z), camera.pixels(0.35, z) * camera.height / z)
    canvas.ellipse(camera.point(x, 0, z), axes, (52, 52, 54), Id.ROAD)
