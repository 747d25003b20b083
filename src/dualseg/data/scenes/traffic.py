"""Who is on the street: cars, pedestrians, bicyclists, and clutter that has no class."""

import numpy as np

from dualseg.data.scenes.canvas import Camera, Canvas, Point
from dualseg.data.scenes.materials import METAL, PAINTS, SKIN, Id, Random, pick

TYRE = (26, 26, 28)
GLASS = np.array((46, 54, 64))


def draw_car(canvas: Canvas, camera: Camera, x: float, z: float, random: Random) -> None:
    """A car or van, its rear or front at distance `z`, its middle at `x`."""
    paint = pick(random, PAINTS)
    is_van = random.random() < 0.15
    wide, length = random.uniform(1.65, 1.85), random.uniform(3.6, 4.4)
    belt, roof = (1.1, 2.1) if is_van else (0.85, random.uniform(1.38, 1.5))
    left, right, far = x - wide / 2, x + wide / 2, z + length
    # The side that faces the camera.
    side = left if camera.x < left else right if camera.x > right else None
    shadow = [
        (left - 0.1, 0.0, z - 0.2),
        (right + 0.1, 0.0, z - 0.2),
        (right, 0.0, far),
        (left, 0.0, far),
    ]
    canvas.shade(camera.points(shadow), 0.45)
    inset, slope = (0.08, 0.15) if is_van else (0.2, 0.55)
    if side is not None:
        _draw_side(canvas, camera, side, (z, far), (belt, roof), slope, paint * 0.78)
    in_l, in_r = left + inset, right - inset
    top = [
        (in_l, roof, z + slope),
        (in_r, roof, z + slope),
        (in_r, roof, far - 0.6),
        (in_l, roof, far - 0.6),
    ]
    canvas.polygon(camera.points(top), np.minimum(paint * 1.1 + 12, 255), Id.CAR)
    cabin = [
        (left + 0.06, belt, z),
        (in_l, roof, z + slope),
        (in_r, roof, z + slope),
        (right - 0.06, belt, z),
    ]
    canvas.polygon(camera.points(cabin), paint * 0.9, Id.CAR)
    pane = [
        (left + 0.16, belt + 0.04, z),
        (in_l + 0.08, roof - 0.08, z + slope),
        (in_r - 0.08, roof - 0.08, z + slope),
        (right - 0.16, belt + 0.04, z),
    ]
    canvas.polygon(camera.points(pane), GLASS * random.uniform(0.7, 2.2), Id.CAR)
    for wheel in (left + 0.14, right - 0.14):
        _rectangle(canvas, camera, (wheel - 0.11, wheel + 0.11), (0.0, 0.4), z + 0.05, TYRE)
    _rectangle(canvas, camera, (left, right), (0.25, belt), z, paint)
    _rectangle(canvas, camera, (left, right), (0.25, 0.42), z, paint * 0.5)
    lamp = (206, 30, 30) if random.random() < 0.6 else (240, 236, 214)
    for inner, outer in ((left + 0.06, left + 0.38), (right - 0.38, right - 0.06)):
        _rectangle(canvas, camera, (inner, outer), (belt - 0.25, belt - 0.1), z, lamp)
    _rectangle(canvas, camera, (x - 0.26, x + 0.26), (0.45, 0.57), z, (228, 226, 200))


def _draw_side(
    canvas: Canvas,
    camera: Camera,
    x: float,
    depth: tuple[float, float],
    heights: tuple[float, float],
    slope: float,
    paint: np.ndarray,
) -> None:
    (near, far), (belt, roof) = depth, heights
    inner = x + np.sign(camera.x - x) * -0.15
    body = [(x, 0.25, near), (x, belt, near), (x, belt - 0.05, far), (x, 0.25, far)]
    cabin = [
        (x, belt, near),
        (inner, roof, near + slope),
        (inner, roof, far - 1.3),
        (x, belt, far - 0.7),
    ]
    pane = [
        (x, belt + 0.05, near + 0.25),
        (inner, roof - 0.1, near + slope + 0.1),
        (inner, roof - 0.1, far - 1.5),
        (x, belt + 0.05, far - 1.1),
    ]
    canvas.polygon(camera.points(body), paint, Id.CAR)
    canvas.polygon(camera.points(cabin), paint, Id.CAR)
    canvas.polygon(camera.points(pane), GLASS, Id.CAR)
    pillar = (near + far) / 2
    canvas.line(camera.points([(x, belt, pillar), (inner, roof, pillar)]), paint, Id.CAR, 3)
    for z in (near + 0.75, far - 0.75):
        canvas.polygon(_wheel(camera, x, z, 0.33), TYRE, Id.CAR)
        canvas.polygon(_wheel(camera, x, z, 0.18), (142, 144, 146), Id.CAR)


def _wheel(camera: Camera, x: float, z: float, radius: float) -> list[Point]:
    """A circle that stands along the street."""
    turn = np.linspace(0, 2 * np.pi, 13)[:-1]
    return camera.points(
        [(x, float(0.33 + radius * np.sin(t)), float(z + radius * np.cos(t))) for t in turn]
    )


def _rectangle(
    canvas: Canvas,
    camera: Camera,
    across: tuple[float, float],
    up: tuple[float, float],
    z: float,
    color: np.ndarray | tuple[int, int, int],
) -> None:
    (left, right), (low, high) = across, up
    world = [(left, low, z), (right, low, z), (right, high, z), (left, high, z)]
    canvas.polygon(camera.points(world), color, Id.CAR)


def draw_pedestrian(canvas: Canvas, camera: Camera, x: float, z: float, random: Random) -> None:
    """Someone who walks; a child now and then."""
    size = random.uniform(1.55, 1.9) * (0.65 if random.random() < 0.12 else 1.0)
    stride = random.uniform(0.05, 0.32) * size / 1.7
    canvas.shade(_flat_ellipse(camera, x, z, 0.35), 0.6)
    _draw_person(canvas, camera, (x, z), (0.0, size), stride, Id.PEDESTRIAN, random)


def _draw_person(
    canvas: Canvas,
    camera: Camera,
    place: tuple[float, float],
    heights: tuple[float, float],
    stride: float,
    class_id: int,
    random: Random,
) -> None:
    """Legs, arms, trunk and head between two heights above the ground."""
    (x, z), (low, size) = place, heights
    trousers, jacket, skin = pick(random, PAINTS) * 0.7, pick(random, PAINTS), pick(random, SKIN)
    tall = size - low
    hip, shoulder, thin = (
        low + tall * 0.48,
        low + tall * 0.82,
        max(2, camera.pixels(0.07 * tall, z)),
    )
    for step in (-stride, stride):
        leg = [(x + step, low, z), (x + step * 0.4, hip, z)]
        canvas.line(camera.points(leg), trousers, class_id, thin * 1.2)
    half = 0.115 * tall
    trunk = [
        (x - half * 0.85, hip, z),
        (x - half, shoulder, z),
        (x + half, shoulder, z),
        (x + half * 0.85, hip, z),
    ]
    for sign in (-1, 1):
        hand = x + sign * (half + 0.03) + stride * 0.5 * sign
        arm = [(x + sign * half, shoulder - 0.03, z), (hand, hip + 0.02, z)]
        canvas.line(camera.points(arm), jacket * 0.85, class_id, thin * 0.85)
    canvas.polygon(camera.points(trunk), jacket, class_id)
    head = camera.point(x, low + tall * 0.92, z)
    axes = (camera.pixels(0.055 * tall, z), camera.pixels(0.075 * tall, z))
    canvas.ellipse(head, axes, skin * 0.35 if random.random() < 0.5 else skin, class_id)


def draw_bicyclist(canvas: Canvas, camera: Camera, x: float, z: float, random: Random) -> None:
    """A rider and the bicycle, along the street."""
    color = pick(random, PAINTS)
    canvas.shade(_flat_ellipse(camera, x, z + 0.5, 0.4), 0.6)
    crosses = random.random() < 0.4
    thin = max(2, camera.pixels(0.05, z))
    if crosses:
        hubs = [camera.point(x + side * 0.5, 0.34, z) for side in (-1, 1)]
        radius = camera.pixels(0.33, z)
        for hub in hubs:
            canvas.ellipse(hub, (radius, radius), TYRE, Id.BICYCLIST, thin)
        frame = [
            (x - 0.5, 0.34, z),
            (x - 0.2, 0.85, z),
            (x + 0.4, 0.8, z),
            (x, 0.34, z),
            (x - 0.5, 0.34, z),
        ]
        canvas.line(camera.points(frame), color, Id.BICYCLIST, thin)
        canvas.line(
            camera.points([(x + 0.5, 0.34, z), (x + 0.38, 1.0, z)]), color, Id.BICYCLIST, thin
        )
    else:
        for hub in (z + 1.05, z):
            circle = [*_wheel(camera, x, hub, 0.33)]
            canvas.line([*circle, circle[0]], TYRE, Id.BICYCLIST, thin * 1.3)
        canvas.line(camera.points([(x, 0.34, z), (x, 1.0, z)]), color, Id.BICYCLIST, thin)
        bar = [(x - 0.3, 1.02, z + 0.6), (x + 0.3, 1.02, z + 0.6)]
        canvas.line(camera.points(bar), color, Id.BICYCLIST, thin)
    stride = 0.16 if crosses else 0.11
    _draw_person(canvas, camera, (x, z + 0.3), (0.42, 1.75), stride, Id.BICYCLIST, random)


def draw_clutter(canvas: Canvas, camera: Camera, x: float, z: float, random: Random) -> None:
    """A bin, a crate or a bench: things that no class is for, so that they are ignored."""
    half, high = random.uniform(0.25, 0.5), random.uniform(0.6, 1.15)
    color = pick(random, (*PAINTS, *METAL)) * 0.8
    world = [
        (x - half, 0.0, z),
        (x + half, 0.0, z),
        (x + half * 1.1, high, z),
        (x - half * 1.1, high, z),
    ]
    canvas.shade(_flat_ellipse(camera, x, z, half * 1.6), 0.55)
    canvas.polygon(camera.points(world), color, Id.IGNORED)
    lid = [(x - half * 1.15, high, z), (x + half * 1.15, high, z)]
    canvas.line(camera.points(lid), color * 0.6, Id.IGNORED, camera.pixels(0.08, z))


def draw_bonnet(canvas: Canvas, random: Random) -> None:
    """The front of the car that carries the camera, along the lower border; ignored."""
    height, width = canvas.size
    color = pick(random, PAINTS) * 0.8
    middle = (width * random.uniform(0.44, 0.56), height + random.uniform(6, 20))
    axes = (width * random.uniform(0.5, 0.62), random.uniform(30, 56))
    canvas.ellipse(middle, axes, color, Id.IGNORED)
    inner = (middle[0] - 20, middle[1] + 4)
    canvas.ellipse(
        inner, (axes[0] * 0.75, axes[1] * 0.72), np.minimum(color * 1.25 + 14, 255), Id.IGNORED
    )


def _flat_ellipse(camera: Camera, x: float, z: float, radius: float) -> list[Point]:
    """A circle on the ground: the shadow under something."""
    turn = np.linspace(0, 2 * np.pi, 13)[:-1]
    return camera.points(
        [(float(x + radius * np.cos(t)), 0.0, float(z + radius * np.sin(t))) for t in turn]
    )
