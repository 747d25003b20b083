"""Composes a street scene: ground, buildings, things far to near, then light and camera noise."""

from collections.abc import Callable
from functools import partial

import cv2
import numpy as np
from numpy.typing import NDArray

from dualseg.core.geometry import Size
from dualseg.data.scenes.canvas import Camera, Canvas, Picture
from dualseg.data.scenes.ground import Street, draw_ground, draw_sky, draw_skyline
from dualseg.data.scenes.materials import Id, Random
from dualseg.data.scenes.roadside import (
    draw_buildings,
    draw_lamp,
    draw_railing,
    draw_sign,
    draw_span_wire,
    draw_tree,
    draw_utility_line,
)
from dualseg.data.scenes.traffic import (
    draw_bicyclist,
    draw_bonnet,
    draw_car,
    draw_clutter,
    draw_pedestrian,
)

# How much a surface's brightness varies from pixel to pixel, by class id.
GRAIN = {Id.SKY: 1.5, Id.BUILDING: 5, Id.ROAD: 9, Id.PAVEMENT: 9, Id.VEGETATION: 13}
OTHER_GRAIN = 4.0

Thing = tuple[float, Callable[[], None]]  # distance, and how to draw it


def draw_scene(size: Size, random: Random) -> tuple[Picture, Picture]:
    """One street scene.

    Args:
        size: (height, width) of the result.
        random: Everything is drawn from it; equal states give equal scenes.

    Returns:
        (*size, 3) RGB and (*size) class ids of `Id`.
    """
    canvas = Canvas((2 * size[0], 2 * size[1]), Id.IGNORED)
    camera, street = _stand(canvas.size, random)
    draw_sky(canvas, camera, random)
    draw_skyline(canvas, camera, random)
    draw_ground(canvas, camera, street, random)
    _cast_shadows(canvas, camera, street, random)
    draw_buildings(canvas, camera, street, random)
    things = _furnish(canvas, camera, street, random) + _populate(canvas, camera, street, random)
    for _, draw in sorted(things, key=lambda thing: -thing[0]):
        draw()
    if random.random() < 0.7:
        draw_bonnet(canvas, random)
    picture, label_map = canvas.shrunk()
    return _expose(picture, label_map, random), label_map


def _stand(size: Size, random: Random) -> tuple[Camera, Street]:
    """A street and where the camera is on it."""
    height, width = size
    kerb = random.uniform(3.0, 4.6)
    street = Street(kerb=kerb, walls=kerb + random.uniform(2.2, 4.2))
    camera = Camera(
        focal=0.9 * width * random.uniform(0.9, 1.1),
        horizon=(width * random.uniform(0.36, 0.64), height * random.uniform(0.4, 0.52)),
        height=random.uniform(1.35, 2.1),
        x=random.uniform(-0.2, 0.55) * kerb,
    )
    return camera, street


def _cast_shadows(canvas: Canvas, camera: Camera, street: Street, random: Random) -> None:
    """The shadows of buildings over one side of the street, and spots under trees out of view."""
    if random.random() < 0.35:
        return
    side, dark = int(random.choice([-1, 1])), random.uniform(0.5, 0.75)
    z = random.uniform(0, 8)
    while z < 60:
        deep, reach = random.uniform(5, 20), random.uniform(0.1, 0.9) * street.walls * 1.6
        inner = side * (street.walls - reach)
        outer, far = side * street.walls, z + deep
        world = [
            (outer, 0.0, max(z, 1.3)),
            (inner, 0.0, max(z, 1.3)),
            (inner, 0.0, far),
            (outer, 0.0, far),
        ]
        canvas.shade(camera.points(world), dark)
        z = far + random.uniform(0, 10)


def _furnish(canvas: Canvas, camera: Camera, street: Street, random: Random) -> list[Thing]:
    """Trees, lamps, railings, signs and wires along the kerbs."""
    things: list[Thing] = []

    def add(z: float, draw: Callable[..., None], *where: object) -> None:
        things.append((z, partial(draw, canvas, camera, *where, random)))

    for side in (-1, 1):
        kerb = side * (street.kerb + 0.5)
        if random.random() < 0.5:
            for z in np.arange(random.uniform(6, 14), 70, random.uniform(8, 16)):
                add(float(z), draw_tree, kerb + side * 0.6, float(z))
        if random.random() < 0.7:
            for z in np.arange(random.uniform(5, 16), 75, random.uniform(12, 20)):
                add(float(z), draw_lamp, kerb, float(z))
        if random.random() < 0.5:
            near, length = random.uniform(2.5, 10), random.uniform(5, 16)
            add(near + length / 2, draw_railing, side * (street.kerb + 0.35), near, length)
        for z in random.uniform(5, 30, int(random.integers(1, 4))):
            add(float(z), draw_sign, kerb + side * random.uniform(-0.1, 0.5), float(z))
        for z in random.uniform(5, 25, int(random.integers(0, 2))):
            add(float(z), draw_clutter, side * (street.walls - 0.6), float(z))
    if random.random() < 0.65:
        side = int(random.choice([-1, 1]))
        add(11.0, draw_utility_line, side * (street.kerb + 0.9), random.uniform(7, 13))
    for z in random.uniform(7, 35, int(random.integers(1, 4))):
        add(float(z), draw_span_wire, street, float(z))
    return things


def _populate(canvas: Canvas, camera: Camera, street: Street, random: Random) -> list[Thing]:
    """Cars parked and moving, people on the pavements and on the road."""
    things: list[Thing] = []

    def add(z: float, draw: Callable[..., None], x: float) -> None:
        things.append((z, partial(draw, canvas, camera, x, z, random)))

    for side in (-1, 1):
        z = random.uniform(4, 20)
        while random.random() < 0.55 and z < 60:
            add(z, draw_car, side * (street.kerb - 1.1))
            z += random.uniform(5.5, 12)
    for _ in range(int(random.integers(0, 3))):
        add(random.uniform(7, 45), draw_car, random.choice([-1, 1]) * street.kerb * 0.4)
    for _ in range(int(random.integers(1, 7))):
        across = random.uniform(street.kerb + 0.5, street.walls - 0.4)
        if random.random() < 0.15:
            across = random.uniform(0, street.kerb)
        add(random.uniform(5, 32), draw_pedestrian, random.choice([-1, 1]) * across)
    for _ in range(int(random.choice([0, 1, 1, 2]))):
        add(random.uniform(5, 24), draw_bicyclist, random.uniform(-0.85, 0.85) * street.kerb)
    return things


def _expose(picture: Picture, label_map: Picture, random: Random) -> Picture:
    """Surface grain, exposure, colour of the light, vignette, a little blur, sensor noise."""
    height, width = label_map.shape
    grain = np.full(256, OTHER_GRAIN, np.float32)
    for class_id, amount in GRAIN.items():
        grain[class_id] = amount
    noise = _noise(random, (height, width)) * grain[label_map]
    light = random.uniform(0.8, 1.25) * (1 + random.uniform(-0.08, 0.08, 3))
    image = picture.astype(np.float32) + noise[..., None]
    image *= (_vignette(height, width)[..., None] * light).astype(np.float32)
    if random.random() < 0.35:
        image = cv2.GaussianBlur(image, (3, 3), random.uniform(0.3, 0.6))
    image += _noise(random, (height, width, 3)) * np.float32(random.uniform(1.5, 5))
    return np.clip(image + np.float32(0.5), 0, 255).astype(np.uint8)


def _vignette(height: int, width: int) -> NDArray[np.float32]:
    y = np.linspace(-1, 1, height, dtype=np.float32)[:, None]
    x = np.linspace(-1, 1, width, dtype=np.float32)[None]
    return np.asarray(1 - 0.1 * (x * x + y * y), np.float32)


def _noise(random: Random, shape: tuple[int, ...]) -> NDArray[np.float32]:
    """Of variance 1 and about bell-shaped: the sum of two uniform bytes, which is quick to draw."""
    raw = random.integers(0, 256, (2, *shape), dtype=np.uint8).astype(np.float32)
    return ((raw[0] + raw[1] - 255) / 104.5).astype(np.float32, copy=False)
