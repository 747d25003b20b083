"""`streets`: street scenes drawn on the fly, so that everything can be tried without a download.

Thin things (poles, signs, wires, railings, people far off) are one to four pixels wide, so a
network that sees half the resolution has to guess where they are: the case DSRL is made for.
Classes are very unequal in size, textures tell apart what colours do not, some pixels are ignored.
"""

from collections.abc import Callable
from functools import lru_cache
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from dualseg.core.errors import InputError, nearest
from dualseg.core.files import new_folder, write_atomic, write_text
from dualseg.core.labels import LabelSpec
from dualseg.data.pictures.images import write_label_png
from dualseg.data.scenes.scene import draw_scene

SIZE = (192, 256)
NUM_IMAGES = {"train": 192, "val": 40}
SEED = 20
STREETS_LABELS = LabelSpec(
    class_names=(
        "sky",
        "building",
        "road",
        "pavement",
        "vegetation",
        "car",
        "pedestrian",
        "bicyclist",
        "sign",
        "railing",
        "pole",
        "wire",
    ),
    palette=(
        (70, 130, 180),
        (110, 80, 80),
        (128, 64, 128),
        (244, 35, 232),
        (107, 142, 35),
        (0, 0, 142),
        (220, 20, 60),
        (255, 128, 0),
        (220, 220, 0),
        (102, 220, 190),
        (190, 190, 190),
        (0, 230, 255),
    ),
)


class Streets:
    """Scenes of a split; each is a function of (split, index) alone.

    Args:
        split: train or val.

    Raises:
        InputError: Another split.
    """

    labels = STREETS_LABELS

    def __init__(self, split: str):
        if split not in NUM_IMAGES:
            raise InputError(f"streets has no split {split!r}; {nearest(split, NUM_IMAGES)}")
        self.split = split

    def __len__(self) -> int:
        return NUM_IMAGES[self.split]

    def name(self, index: int) -> str:
        return f"{self.split}_{index:03d}"

    def image_path(self, index: int) -> Path | None:
        return None

    def label_path(self, index: int) -> Path | None:
        return None

    def image(self, index: int) -> NDArray[np.uint8]:
        return _scene(self.split, index)[0]

    def label_map(self, index: int) -> NDArray[np.uint8]:
        return _scene(self.split, index)[1]


@lru_cache(maxsize=256)  # all of them: 57 MB, and three runs of `quickstart` draw them once
def _scene(split: str, index: int) -> tuple[NDArray[np.uint8], NDArray[np.uint8]]:
    sequence = np.random.SeedSequence((SEED, list(NUM_IMAGES).index(split), index))
    return draw_scene(SIZE, np.random.Generator(np.random.Philox(sequence)))


def write_streets(folder: Path, *, progress: Callable[[int, int], object] | None = None) -> None:
    """Writes `images/SPLIT`, `masks/SPLIT` and `dataset.yaml`, as a folder of one's own would be.

    Args:
        folder: A new one.
        progress: Told (scenes written, all scenes).

    Raises:
        InputError: The folder exists, or cannot be written.
    """
    scenes = [(Streets(split), index) for split in NUM_IMAGES for index in range(NUM_IMAGES[split])]
    with new_folder(folder) as temporary:
        for done, (of_split, index) in enumerate(scenes, start=1):
            _write_scene(temporary, of_split, index)
            if progress is not None:
                progress(done, len(scenes))
        write_text(temporary / "dataset.yaml", _description())


def _write_scene(folder: Path, scenes: Streets, index: int) -> None:
    images, masks = folder / "images" / scenes.split, folder / "masks" / scenes.split
    images.mkdir(parents=True, exist_ok=True)
    masks.mkdir(parents=True, exist_ok=True)
    picture = Image.fromarray(scenes.image(index))
    name = f"{scenes.name(index)}.png"
    write_atomic(images / name, lambda file: picture.save(file, format="PNG"))
    write_label_png(masks / name, scenes.label_map(index), scenes.labels)


def _description() -> str:
    import yaml

    plain = STREETS_LABELS.to_dict()
    kept = {key: plain[key] for key in ("class_names", "palette", "ignore_index")}
    return yaml.safe_dump(kept, sort_keys=False)
