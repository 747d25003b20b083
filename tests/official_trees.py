"""Data sets of a few 16x16 images in the exact layouts of their releases."""

import json
import struct
import zlib
from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np
from numpy.typing import ArrayLike, NDArray
from PIL import Image

SIDE = 16


def save_image(path: Path) -> Path:
    """Noise that depends on the name, as the picture the suffix says."""
    path.parent.mkdir(parents=True, exist_ok=True)
    random = np.random.default_rng(zlib.crc32(f"{path.parent.name}/{path.name}".encode()))
    Image.fromarray(random.integers(0, 256, (SIDE, SIDE, 3), dtype=np.uint8)).save(path)
    return path


def label(top: ArrayLike, bottom: ArrayLike, dtype: type = np.uint8) -> NDArray[np.generic]:
    """A label whose upper half has one value (or colour), and the lower another."""
    halves = [np.asarray(top, dtype)] * (SIDE // 2) + [np.asarray(bottom, dtype)] * (SIDE // 2)
    return np.stack([np.stack([value] * SIDE) for value in halves])


def save_label(path: Path, values: NDArray[np.generic], *, palette: bool = False) -> Path:
    """Values as a gray or palette file, colours as an RGB one."""
    path.parent.mkdir(parents=True, exist_ok=True)
    picture = Image.fromarray(values)
    if palette:
        picture.putpalette(
            [channel for id_ in range(256) for channel in (id_, 255 - id_, id_ // 2)]
        )
    picture.save(path)
    return path


def save_lines(path: Path, lines: Sequence[str]) -> Path:
    """A list file."""
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text("".join(f"{line}\n" for line in lines))
    return path


VOC_SPLITS = {"train": ("2007_000032", "2007_000039"), "val": ("2007_000033",)}


def make_voc(root: Path) -> Path:
    """VOCdevkit/VOC2012: background above aeroplane, one border pixel in the corner."""
    home = root / "VOCdevkit" / "VOC2012"
    for split, names in {**VOC_SPLITS, "trainval": sum(VOC_SPLITS.values(), ())}.items():
        save_lines(home / "ImageSets/Segmentation" / f"{split}.txt", names)
        for name in names:
            save_image(home / "JPEGImages" / f"{name}.jpg")
            values = label(0, 1)
            values[0, 0] = 255
            save_label(home / "SegmentationClass" / f"{name}.png", values, palette=True)
    return root


def make_sbd(root: Path) -> Path:
    """benchmark_RELEASE/dataset: person above cat; one image is in VOC's val, one in its train."""
    home = root / "benchmark_RELEASE" / "dataset"
    splits = {"train": ("2008_000002", "2007_000032"), "val": ("2008_000003", "2007_000033")}
    for split, names in splits.items():
        save_lines(home / f"{split}.txt", names)
        for name in names:
            save_image(home / "img" / f"{name}.jpg")
            (home / "cls").mkdir(exist_ok=True)
            (home / "cls" / f"{name}.mat").write_bytes(sbd_file(label(15, 8)))
    return root


def make_voc_aug(root: Path) -> Path:
    """VOC and SBD in one folder, as their archives unpack."""
    return make_sbd(make_voc(root))


def make_cityscapes(root: Path) -> Path:
    """leftImg8bit and gtFine: road above "ground" (void)."""
    for split, city in (("train", "aachen"), ("val", "lindau"), ("test", "berlin")):
        for number in (0, 1):
            name = f"{city}_{number:06d}_000019"
            save_image(root / "leftImg8bit" / split / city / f"{name}_leftImg8bit.png")
            save_label(root / "gtFine" / split / city / f"{name}_gtFine_labelIds.png", label(7, 6))
    return root


def make_coco(root: Path) -> Path:
    """train2017, val2017 and annotations: an aeroplane (5) over the upper half of each image."""
    for split, first in (("train", 9), ("val", 139)):
        images, shapes = [], []
        for number in (first, first + 1):
            name = f"{number:012d}.jpg"
            path = save_image(root / f"{split}2017" / name)
            Image.open(path).resize((48, 48)).save(path)
            images.append({"id": number, "file_name": name, "height": 48, "width": 48})
            box = [0, 0, 48, 0, 48, 24, 0, 24]
            shapes.append(
                {
                    "image_id": number,
                    "category_id": 5,
                    "segmentation": [box],
                    "area": 48 * 24,
                    "iscrowd": 0,
                }
            )
        save_json(
            root / "annotations" / f"instances_{split}2017.json",
            {"images": images, "annotations": shapes, "categories": []},
        )
    return root


def make_coco_stuff(root: Path) -> Path:
    """stuffthingmaps: person (raw 0) above wood (raw 181), one unlabelled pixel."""
    for split, first in (("train", 9), ("val", 139)):
        for number in (first, first + 1):
            save_image(root / f"{split}2017" / f"{number:012d}.jpg")
            values = label(0, 181)
            values[0, 0] = 255
            save_label(root / "stuffthingmaps" / f"{split}2017" / f"{number:012d}.png", values)
    return root


def make_camvid32(root: Path) -> Path:
    """701_StillsRaw_full and LabeledApproved_full: Sky above Truck_Bus, one Void pixel."""
    for frame in ("0006R0_f00930", "0016E5_00390", "0016E5_08001", "Seq05VD_f00000"):
        save_image(root / "701_StillsRaw_full" / f"{frame}.png")
        values = label((128, 128, 128), (192, 128, 192))
        values[0, 0] = 0
        save_label(root / "LabeledApproved_full" / f"{frame}_L.png", values)
    save_lines(root / "label_colors.txt", ["64 128 64\tAnimal", "192 0 128\t\tArchway"])
    return root


VISTAS = (
    ("animal--bird", "Bird", (165, 42, 42), True),
    ("construction--barrier--curb", "Curb", (196, 196, 196), True),
    ("void--unlabeled", "Unlabeled", (0, 0, 0), False),
    ("nature--sky", "Sky", (70, 130, 180), True),
)


def make_mapillary(root: Path) -> Path:
    """The release that holds both versions: Bird above Unlabeled (v1.2), Curb above Sky (v2.0)."""
    for version in ("v1.2", "v2.0"):
        save_json(root / f"config_{version}.json", vistas_config())
    for folder in ("training", "validation"):
        for key in ("0035fkbjWljhaftpVM37-g", "00qclUcInksIYnm19b1Xfw"):
            save_image(root / folder / "images" / f"{key}.jpg")
            for version, values in (("v1.2", (0, 2)), ("v2.0", (1, 3))):
                path = root / folder / version / "labels" / f"{key}.png"
                save_label(path, label(*values), palette=True)
    return root


def vistas_config() -> dict[str, object]:
    """What config_v1.2.json holds, with four labels."""
    return {
        "labels": [
            {"name": name, "readable": readable, "color": color, "evaluate": counts}
            for name, readable, color, counts in VISTAS
        ],
        "version": 1.2,
    }


def make_ade20k(root: Path) -> Path:
    """ADEChallengeData2016: flag (150) above "other" (0)."""
    home = root / "ADEChallengeData2016"
    for folder, short in (("training", "train"), ("validation", "val")):
        for number in (1, 2):
            name = f"ADE_{short}_{number:08d}"
            save_image(home / "images" / folder / f"{name}.jpg")
            save_label(home / "annotations" / folder / f"{name}.png", label(150, 0))
    return root


def make_inria(root: Path) -> Path:
    """AerialImageDataset/train: a building in the upper half of each tile."""
    for tile in ("austin1", "austin6", "austin12", "tyrol-w5", "tyrol-w36"):
        save_image(root / "AerialImageDataset/train/images" / f"{tile}.tif")
        save_label(root / "AerialImageDataset/train/gt" / f"{tile}.tif", label(255, 0))
    return root


def make_pascal_context(root: Path) -> Path:
    """VOCdevkit/VOC2010: background above wood (59)."""
    home = root / "VOCdevkit" / "VOC2010"
    for split, names in (("train", ("2008_000002", "2008_000003")), ("val", ("2008_000007",))):
        save_lines(home / "ImageSets/SegmentationContext" / f"{split}.txt", names)
        for name in names:
            save_image(home / "JPEGImages" / f"{name}.jpg")
            save_label(home / "SegmentationClassContext" / f"{name}.png", label(0, 59))
    return root


def make_camvid(root: Path) -> Path:
    """The SegNet edition: sky above void."""
    for split in ("train", "val"):
        for name in ("0001TP_006690", "0016E5_07959"):
            save_image(root / split / f"{name}.png")
            save_label(root / f"{split}annot" / f"{name}.png", label(0, 11))
    return root


TREES: dict[str, Callable[[Path], Path]] = {
    "ade20k": make_ade20k,
    "camvid": make_camvid,
    "camvid32": make_camvid32,
    "camvid32_grouped": make_camvid32,
    "cityscapes": make_cityscapes,
    "coco": make_coco,
    "coco_stuff": make_coco_stuff,
    "coco_things": make_coco,
    "inria": make_inria,
    "mapillary": make_mapillary,
    "mapillary_v2": make_mapillary,
    "pascal_context": make_pascal_context,
    "pascal_context60": make_pascal_context,
    "sbd": make_sbd,
    "voc": make_voc,
    "voc_aug": make_voc_aug,
}


def save_json(path: Path, content: object) -> Path:
    """A JSON file."""
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps(content))
    return path


def sbd_file(values: NDArray[np.generic], *, compressed: bool = True) -> bytes:
    """A MATLAB 5 file with GTcls.{Boundaries, Segmentation, CategoriesPresent}."""
    fields = ("Boundaries", "Segmentation", "CategoriesPresent")
    arrays = (np.zeros((3, 5), np.uint8), values, np.unique(values)[:, None])
    struct_ = _element(14, _matrix_head(2, (1, 1), "GTcls"))
    content = struct_[8:] + struct.pack("<HHi", 5, 4, 32)  # a small element: width of a field name
    content += _element(1, b"".join(name.encode().ljust(32, b"\0") for name in fields))
    for array in arrays:
        head = _matrix_head(9, array.shape, "")
        content += _element(14, head + _element(2, array.T.tobytes()))
    variable = _element(14, content)
    if compressed:
        packed = zlib.compress(variable)
        variable = struct.pack("<II", 15, len(packed)) + packed
    return b"MATLAB 5.0 MAT-file".ljust(124) + b"\x00\x01IM" + variable


def _matrix_head(kind: int, shape: tuple[int, ...], name: str) -> bytes:
    flags = _element(6, struct.pack("<II", kind, 0))
    return flags + _element(5, struct.pack("<ii", *shape)) + _element(1, name.encode())


def _element(kind: int, content: bytes) -> bytes:
    return struct.pack("<II", kind, len(content)) + content + b"\0" * (-len(content) % 8)
