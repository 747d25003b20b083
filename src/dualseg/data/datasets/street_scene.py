"""Draws one street scene: image and label map, from a random generator alone.

Everything is drawn at twice the size. The image is then averaged down, so that thin things blend
into what lies behind them as in a photograph, and the label is sampled down.
"""

from dataclasses import dataclass, field

import cv2
import numpy as np
from numpy.typing import NDArray

from dualseg.core.labels import IGNORE_INDEX

HEIGHT, WIDTH = 192, 256
OVERSAMPLING = 2

SKY, BUILDING, ROAD, PAVEMENT, VEGETATION, CAR, PEDESTRIAN, POLE, SIGN, RAILING, WIRE = range(11)

Point = tuple[float, float]
Color = tuple[int, int, int]
Random = np.random.Generator

# How strongly each class is modulated by noise of a fine, a middle and a coarse grain.
GRAIN = {
    SKY: (2, 3, 14),
    BUILDING: (7, 6, 8),
    ROAD: (12, 7, 10),
    PAVEMENT: (9, 9, 8),
    VEGETATION: (16, 26, 12),
    CAR: (4, 5, 8),
    PEDESTRIAN: (6, 8, 0),
    POLE: (5, 4, 0),
    SIGN: (4, 4, 0),
    RAILING: (5, 4, 0),
    WIRE: (3, 0, 0),
    IGNORE_INDEX: (4, 4, 14),
}


@dataclass
class Canvas:
    """An image and a label map that are always drawn on together; coordinates in final pixels."""

    image: NDArray[np.uint8] = field(
        default_factory=lambda: np.zeros((HEIGHT * OVERSAMPLING, WIDTH * OVERSAMPLING, 3), np.uint8)
    )
    labels: NDArray[np.uint8] = field(
        default_factory=lambda: np.zeros((HEIGHT * OVERSAMPLING, WIDTH * OVERSAMPLING), np.uint8)
    )

    def polygon(self, points: list[Point], color: Color, class_id: int) -> None:
        corners = np.round(np.array(points) * OVERSAMPLING).astype(np.int32)
        cv2.fillPoly(self.image, [corners], color)
        cv2.fillPoly(self.labels, [corners], class_id)

    def box(
        self, left: float, top: float, right: float, bottom: float, color: Color, id_: int
    ) -> None:
        self.polygon([(left, top), (right, top), (right, bottom), (left, bottom)], color, id_)

    def line(self, points: list[Point], width: float, color: Color, class_id: int) -> None:
        path = np.round(np.array(points) * OVERSAMPLING).astype(np.int32)
        thickness = max(1, round(width * OVERSAMPLING))
        cv2.polylines(self.image, [path], False, color, thickness)
        cv2.polylines(self.labels, [path], False, class_id, thickness)

    def ellipse(self, center: Point, axes: Point, color: Color, class_id: int) -> None:
        middle = round(center[0] * OVERSAMPLING), round(center[1] * OVERSAMPLING)
        radii = max(1, round(axes[0] * OVERSAMPLING)), max(1, round(axes[1] * OVERSAMPLING))
        cv2.ellipse(self.image, middle, radii, 0, 0, 360, color, -1)
        cv2.ellipse(self.labels, middle, radii, 0, 0, 360, class_id, -1)


@dataclass(frozen=True)
class View:
    """Where the street vanishes and how wide it is at the lower edge, in final pixels."""

    x: float
    y: float
    road_left: float
    road_right: float
    walk_left: float
    walk_right: float

    def at(self, x_below: float, depth: float) -> Point:
        """The ground seen at `x_below` of the lower edge, `depth` of the way to the horizon."""
        return x_below + (self.x - x_below) * depth, HEIGHT + (self.y - HEIGHT) * depth

    def size(self, depth: float) -> float:
        """How large things are there: 1 at the lower edge, 0 on the horizon."""
        return 1 - depth


def draw_street(random: Random) -> tuple[NDArray[np.uint8], NDArray[np.uint8]]:
    """One scene.

    Returns:
        (192, 256, 3) RGB and (192, 256) class ids; 255 for the ego car's bonnet and unnamed things.
    """
    canvas, view = Canvas(), _view(random)
    _sky(canvas, random)
    _far_trees(canvas, view, random)
    _ground(canvas, view, random)
    for side in (-1, 1):
        _row_of_buildings(canvas, view, side, random)
    things = [_tree, _parked_car, _pedestrian, _lamp_post, _sign_post, _railing, _bin]
    weights = np.array([3, 3, 3, 4, 4, 2, 1])
    chosen = random.choice(
        len(things), size=int(random.integers(14, 22)), p=weights / weights.sum()
    )
    depths = np.sort(random.uniform(0.12, 0.86, len(chosen)))[::-1]  # the farthest first
    wires_after = len(chosen) // 2
    for number, (kind, depth) in enumerate(zip(chosen, depths, strict=True)):
        if number == wires_after:
            _wires(canvas, view, random)
        things[kind](canvas, view, float(depth), random)
    if random.random() < 0.7:
        _bonnet(canvas, random)
    return _photograph(canvas, random)


def _view(random: Random) -> View:
    x = random.uniform(0.3, 0.7) * WIDTH
    y = random.uniform(0.36, 0.48) * HEIGHT
    left, right = random.uniform(-0.45, 0.1) * WIDTH, random.uniform(0.9, 1.45) * WIDTH
    walk = random.uniform(0.5, 0.9, 2) * WIDTH
    return View(x, y, left, right, left - walk[0], right + walk[1])


def _sky(canvas: Canvas, random: Random) -> None:
    top = np.array([random.integers(90, 190), random.integers(120, 200), random.integers(150, 235)])
    bottom = np.full(3, random.integers(175, 240))
    height = canvas.image.shape[0]
    share = np.linspace(0, 1.6, height).clip(0, 1)[:, None]
    canvas.image[:] = (top * (1 - share) + bottom * share).astype(np.uint8)[:, None]


def _far_trees(canvas: Canvas, view: View, random: Random) -> None:
    for x in np.arange(-10, WIDTH + 10, 9):
        green = _jitter((70, 92, 62), 18, random)
        center = (float(x), view.y - random.uniform(0, 7))
        canvas.ellipse(center, (random.uniform(6, 12), random.uniform(5, 12)), green, VEGETATION)


def _ground(canvas: Canvas, view: View, random: Random) -> None:
    gray = int(random.integers(78, 128))
    below = HEIGHT + 40  # polygons end well below the picture
    reach = (below - view.y) / (HEIGHT - view.y)

    def edge(x_below: float) -> Point:
        return view.x + (x_below - view.x) * reach, below

    walk = _jitter((gray + 22, gray + 18, gray + 12), 10, random)
    far_left, far_right = (-WIDTH, below), (2 * WIDTH, below)
    canvas.polygon([(view.x, view.y), (-WIDTH, view.y), far_left, (view.x, below)], walk, PAVEMENT)
    canvas.polygon(
        [(view.x, view.y), (2 * WIDTH, view.y), far_right, (view.x, below)], walk, PAVEMENT
    )
    road = [(view.x, view.y), edge(view.road_left), edge(view.road_right)]
    canvas.polygon(road, (gray, gray, gray + 3), ROAD)
    for x in (view.road_left, view.road_right):  # kerbs are drawn, but belong to the pavement
        kerb = _jitter((gray + 45, gray + 43, gray + 40), 6, random)
        canvas.polygon([(view.x, view.y), edge(x - 5), edge(x + 2)], kerb, PAVEMENT)
    _lane_marks(canvas, view, random)
    _slabs(canvas, view, (gray + 2, gray, gray - 4))


def _lane_marks(canvas: Canvas, view: View, random: Random) -> None:
    middle = (view.road_left + view.road_right) / 2
    white = int(random.integers(165, 225))
    starts = 1 - 0.8 ** np.arange(0, 14)
    for near, far in zip(starts, starts + 0.4 * np.diff(starts, append=1), strict=True):
        corners = [view.at(middle - 4, near), view.at(middle + 4, near)]
        corners += [view.at(middle + 4, far), view.at(middle - 4, far)]
        canvas.polygon(corners, (white, white, white - 12), ROAD)


def _slabs(canvas: Canvas, view: View, color: Color) -> None:
    """Joints between the pavement's slabs, so that it is told from the road by its texture."""
    for depth in 1 - 0.86 ** np.arange(1, 22):
        for inner, outer in (
            (view.road_left - 6, view.walk_left),
            (view.road_right + 6, view.walk_right),
        ):
            path = [view.at(inner, depth), view.at(outer, depth)]
            canvas.line(path, 1.2 * view.size(depth), color, PAVEMENT)


def _row_of_buildings(canvas: Canvas, view: View, side: int, random: Random) -> None:
    base = view.walk_left if side < 0 else view.walk_right
    depth = 0.93
    while depth > 0.02:
        near = max(0.0, depth - random.uniform(0.08, 0.22))
        if random.random() < 0.85:
            _building(canvas, view, base, near, depth, random)
        depth = near


def _building(
    canvas: Canvas, view: View, base: float, near: float, far: float, random: Random
) -> None:
    palette = [(150, 120, 104), (128, 126, 124), (168, 152, 128), (118, 98, 92), (120, 132, 116)]
    wall = _jitter(palette[int(random.integers(len(palette)))], 16, random)
    height = random.uniform(130, 330)
    (x0, y0), (x1, y1) = view.at(base, near), view.at(base, far)
    top0, top1 = y0 - height * view.size(near), y1 - height * view.size(far)
    canvas.polygon([(x0, y0), (x1, y1), (x1, top1), (x0, top0)], wall, BUILDING)
    dark = _jitter((62, 70, 84), 22, random)
    rows, columns = int(random.integers(3, 7)), int(random.integers(2, 6))
    for row in range(rows):
        for column in range(columns):
            if random.random() < 0.9:
                span = (column + 0.25, column + 0.75), (row + 0.3, row + 0.75)
                _window(canvas, (x0, y0, top0), (x1, y1, top1), span, (columns, rows), dark)


def _window(
    canvas: Canvas,
    near: tuple[float, float, float],
    far: tuple[float, float, float],
    span: tuple[Point, Point],
    counts: tuple[int, int],
    color: Color,
) -> None:
    """A cell of the grid on a wall whose ends are given as (x, bottom, top)."""
    (left, right), (low, high) = span
    corners = []
    for across, up in ((left, low), (right, low), (right, high), (left, high)):
        share = across / counts[0]
        x = near[0] + (far[0] - near[0]) * share
        bottom = near[1] + (far[1] - near[1]) * share
        top = near[2] + (far[2] - near[2]) * share
        corners.append((x, bottom + (top - bottom) * up / counts[1]))
    canvas.polygon(corners, color, BUILDING)


def _on_walk(view: View, random: Random) -> float:
    """An x of the lower edge somewhere on one of the pavements."""
    if random.random() < 0.5:
        return random.uniform(view.walk_left * 0.6 + view.road_left * 0.4, view.road_left - 14)
    return random.uniform(view.road_right + 14, view.walk_right * 0.6 + view.road_right * 0.4)


def _at_kerb(view: View, random: Random) -> float:
    return view.road_left - 9 if random.random() < 0.5 else view.road_right + 9


def _tree(canvas: Canvas, view: View, depth: float, random: Random) -> None:
    size = view.size(depth)
    x, y = view.at(_on_walk(view, random), depth)
    height = random.uniform(90, 150) * size
    canvas.line([(x, y), (x, y - height)], 7 * size, _jitter((82, 66, 52), 12, random), VEGETATION)
    for _ in range(16):
        spot = x + random.normal(0, 22) * size, y - height - random.normal(0, 20) * size
        radius = random.uniform(7, 17) * size
        green = _jitter((66, 100, 52), 24, random)
        canvas.ellipse(spot, (radius, radius * 0.8), green, VEGETATION)


def _parked_car(canvas: Canvas, view: View, depth: float, random: Random) -> None:
    size = view.size(depth)
    inside = random.uniform(0.04, 0.3)
    share = inside if random.random() < 0.5 else 1 - inside
    x, y = view.at(view.road_left + share * (view.road_right - view.road_left), depth)
    paint = _jitter(
        (random.integers(30, 220), random.integers(30, 200), random.integers(30, 200)), 5, random
    )
    width, height = 62 * size, 30 * size
    canvas.ellipse((x, y), (width * 0.52, 3 * size), (38, 38, 40), ROAD)  # its shadow
    canvas.box(x - width / 2, y - height, x + width / 2, y - 4 * size, paint, CAR)
    roof = [(x - width * 0.42, y - height), (x - width * 0.3, y - height * 1.6)]
    roof += [(x + width * 0.3, y - height * 1.6), (x + width * 0.42, y - height)]
    canvas.polygon(roof, paint, CAR)
    glass = [(x - width * 0.36, y - height), (x - width * 0.27, y - height * 1.5)]
    glass += [(x + width * 0.27, y - height * 1.5), (x + width * 0.36, y - height)]
    canvas.polygon(glass, (60, 74, 88), CAR)
    for shift in (-0.36, 0.36):
        canvas.ellipse((x + shift * width, y - 5 * size), (6 * size, 7 * size), (24, 24, 26), CAR)
        lamp = (205, 60, 50) if random.random() < 0.5 else (225, 220, 190)
        canvas.ellipse((x + shift * width, y - height * 0.75), (4 * size, 3 * size), lamp, CAR)


def _pedestrian(canvas: Canvas, view: View, depth: float, random: Random) -> None:
    size = view.size(depth) * random.uniform(0.9, 1.1)
    crossing = random.random() < 0.2
    x_below = (
        random.uniform(view.road_left, view.road_right) if crossing else _on_walk(view, random)
    )
    x, y = view.at(x_below, depth)
    coat = _jitter(
        (random.integers(40, 170), random.integers(40, 130), random.integers(40, 150)), 5, random
    )
    legs = _jitter((50, 52, 66), 16, random)
    stride = random.uniform(2, 7) * size
    for foot in (-stride, stride):
        canvas.line([(x + foot, y), (x, y - 24 * size)], 4 * size, legs, PEDESTRIAN)
    canvas.ellipse((x, y - 34 * size), (7 * size, 14 * size), coat, PEDESTRIAN)
    skin = _jitter((176, 136, 112), 25, random)
    canvas.ellipse((x, y - 52 * size), (4 * size, 5 * size), skin, PEDESTRIAN)


def _lamp_post(canvas: Canvas, view: View, depth: float, random: Random) -> None:
    size = view.size(depth)
    x_below = _at_kerb(view, random)
    x, y = view.at(x_below, depth)
    height = random.uniform(150, 210) * size
    gray = _jitter((104, 106, 108), 28, random)
    width = max(0.8, 4.5 * size)
    canvas.line([(x, y), (x, y - height)], width, gray, POLE)
    arm = 26 * size * (1 if x_below < view.x else -1)
    canvas.line([(x, y - height), (x + arm, y - height - 5 * size)], width * 0.6, gray, POLE)
    canvas.ellipse((x + arm, y - height - 4 * size), (6 * size, 2.5 * size), gray, POLE)


def _sign_post(canvas: Canvas, view: View, depth: float, random: Random) -> None:
    size = view.size(depth)
    x, y = view.at(_at_kerb(view, random), depth)
    height = random.uniform(70, 105) * size
    canvas.line(
        [(x, y), (x, y - height)], max(0.7, 3 * size), _jitter((120, 120, 122), 20, random), POLE
    )
    colors = [(196, 44, 44), (40, 84, 170), (214, 190, 60), (222, 222, 220)]
    color = _jitter(colors[int(random.integers(4))], 14, random)
    radius, center = max(1.4, 12 * size), y - height
    shape = int(random.integers(3))
    if shape == 0:
        canvas.ellipse((x, center), (radius, radius), color, SIGN)
        canvas.ellipse((x, center), (radius * 0.55, radius * 0.55), (226, 226, 224), SIGN)
    elif shape == 1:
        points = [(x - radius, center + radius * 0.8), (x + radius, center + radius * 0.8)]
        canvas.polygon([*points, (x, center - radius)], color, SIGN)
    else:
        canvas.box(x - radius, center - radius, x + radius, center + radius * 0.7, color, SIGN)


def _railing(canvas: Canvas, view: View, depth: float, random: Random) -> None:
    x_below = _at_kerb(view, random)
    near, far = max(0.04, depth - random.uniform(0.15, 0.3)), depth
    gray = _jitter((92, 96, 100), 26, random)
    for level in (34, 20):
        ends = []
        for end in (near, far):
            x, y = view.at(x_below, end)
            ends.append((x, y - level * view.size(end)))
        canvas.line(ends, max(0.6, 2.2 * view.size((near + far) / 2)), gray, RAILING)
    for share in np.linspace(0, 1, 11):
        post = near + (far - near) * float(share)
        x, y = view.at(x_below, post)
        top = y - 36 * view.size(post)
        canvas.line([(x, y), (x, top)], max(0.6, 2 * view.size(post)), gray, RAILING)


def _bin(canvas: Canvas, view: View, depth: float, random: Random) -> None:
    """Something on the pavement that no class names."""
    size = view.size(depth)
    x, y = view.at(_on_walk(view, random), depth)
    color = _jitter((86, 90, 84), 30, random)
    canvas.box(x - 9 * size, y - 26 * size, x + 9 * size, y, color, IGNORE_INDEX)


def _wires(canvas: Canvas, view: View, random: Random) -> None:
    for _ in range(int(random.integers(2, 6))):
        start = random.uniform(-20, 0.3 * WIDTH), random.uniform(0, view.y * 0.7)
        end = random.uniform(0.6 * WIDTH, WIDTH + 20), random.uniform(0, view.y * 0.7)
        sag = random.uniform(3, 16)
        share = np.linspace(0, 1, 24)
        x = start[0] + (end[0] - start[0]) * share
        y = start[1] + (end[1] - start[1]) * share + 4 * sag * share * (1 - share)
        gray = int(random.integers(35, 75))
        path = list(zip(x.tolist(), y.tolist(), strict=True))
        canvas.line(path, random.uniform(0.9, 1.4), (gray, gray, gray), WIRE)


def _bonnet(canvas: Canvas, random: Random) -> None:
    """The car the camera rides in: not labelled, as in Cityscapes."""
    height = random.uniform(6, 16)
    middle = WIDTH / 2 + random.uniform(-12, 12)
    color = _jitter((56, 58, 64), 22, random)
    canvas.ellipse((middle, HEIGHT + 4), (WIDTH * 0.52, height + 4), color, IGNORE_INDEX)


def _photograph(canvas: Canvas, random: Random) -> tuple[NDArray[np.uint8], NDArray[np.uint8]]:
    """Texture, shadows, light and sensor noise; then down to the final size."""
    strength = np.zeros((256, 3), np.float32)
    for class_id, grains in GRAIN.items():
        strength[class_id] = grains
    amplitude = strength[canvas.labels]  # (2H, 2W, 3)
    size = canvas.labels.shape
    grain = sum(
        amplitude[..., index] * _noise(size, cell, random) for index, cell in enumerate((2, 6, 40))
    )
    picture = canvas.image.astype(np.float32) + grain[..., None]  # type: ignore[index]
    picture *= _shadow(size, random)[..., None]
    picture *= random.uniform(0.7, 1.15) * random.uniform(0.94, 1.06, 3).astype(np.float32)
    small = cv2.resize(picture, (WIDTH, HEIGHT), interpolation=cv2.INTER_AREA)
    small += random.normal(0, 3.0, small.shape).astype(np.float32)
    labels = cv2.resize(canvas.labels, (WIDTH, HEIGHT), interpolation=cv2.INTER_NEAREST_EXACT)
    return small.clip(0, 255).astype(np.uint8), labels


def _noise(size: tuple[int, int], cell: int, random: Random) -> NDArray[np.float32]:
    """Smooth noise of unit variance whose grains are about `cell` pixels wide."""
    coarse = random.standard_normal((size[0] // cell + 2, size[1] // cell + 2), dtype=np.float32)
    return cv2.resize(coarse, (size[1], size[0]), interpolation=cv2.INTER_LINEAR)


def _shadow(size: tuple[int, int], random: Random) -> NDArray[np.float32]:
    """A slanted band that houses throw over the street; 1 where there is none."""
    shade = np.ones(size, np.float32)
    if random.random() < 0.6:
        left, width = random.uniform(-0.2, 1.0) * size[1], random.uniform(0.1, 0.5) * size[1]
        slant = random.uniform(-0.6, 0.6) * size[1]
        corners = [
            (left, 0),
            (left + width, 0),
            (left + width + slant, size[0]),
            (left + slant, size[0]),
        ]
        cv2.fillPoly(shade, [np.array(corners, np.int32)], random.uniform(0.55, 0.8))
        shade = cv2.blur(shade, (9, 9))
    return shade


def _jitter(color: tuple[int, ...], amount: int, random: Random) -> Color:
    """A colour near this one, the channels changed together and a little apart."""
    shift = random.integers(-amount, amount + 1) + random.integers(-amount // 3, amount // 3 + 1, 3)
    red, green, blue = (int(c) for c in np.clip(np.array(color) + shift, 0, 255))
    return red, green, blue
