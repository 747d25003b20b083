"""A GeoTIFF of any size is made and segmented under a memory limit set by the operating system.

    python benchmarks/giant.py FOLDER [--side 12000] [--share 1.0] [--model MODEL]
        [--threads 2] [--limit-mib 2048]

FOLDER gets `giant.tif` (drawn streets repeated over a `--share` of the image, from the top; the
rest holds no data), and its labels and overlay. MODEL is what `load_model` takes; without one an
untrained mobilenet_v2 FCN at half resolution with 11 classes is used. The limit is RLIMIT_DATA:
every private page counts, whether touched or not. Where it is hit, the run fails.
"""

import argparse
import resource
import time
from pathlib import Path

import numpy as np
import rasterio
import torch
from rasterio.transform import from_origin
from rasterio.windows import Window

from dualseg.checkpoints.model_files import load_model
from dualseg.core.facts import ModelFacts, default_labels
from dualseg.data.scenes.scene import draw_scene
from dualseg.inference.geotiff import small_cache
from dualseg.inference.giant import predict_by_windows
from dualseg.inference.predictor import Predictor
from dualseg.inference.tiles import choose_tiling
from dualseg.models.catalog import create_model

SCENE = 512


def make_giant(path: Path, side: int, share: float) -> None:
    """Tiles of 512, deflate; blocks without data are not stored."""
    scene = draw_scene((SCENE, SCENE), np.random.default_rng(0))[0].clip(1)
    bands = np.ascontiguousarray(np.moveaxis(scene, 2, 0))
    with rasterio.open(
        path,
        "w",
        driver="GTiff",
        count=3,
        height=side,
        width=side,
        dtype="uint8",
        tiled=True,
        blockxsize=512,
        blockysize=512,
        compress="deflate",
        bigtiff="if_safer",
        sparse_ok=True,
        nodata=0,
        crs="EPSG:32633",
        transform=from_origin(399960, 5000040, 0.1, 0.1),
    ) as file:
        for top in range(0, int(side * share), SCENE):
            for left in range(0, side, SCENE):
                height, width = min(SCENE, side - top), min(SCENE, side - left)
                file.write(bands[:, :height, :width], window=Window(left, top, width, height))  # type: ignore[call-arg]


def network(name: str | None) -> torch.nn.Module:
    if name is not None:
        return load_model(name)
    torch.manual_seed(0)
    model = create_model("fcn", backbone="mobilenet_v2", num_classes=11, output_stride=32)
    model.facts = ModelFacts(model.architecture, default_labels(11), input_scale=0.5)
    return model


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("folder", type=Path)
    parser.add_argument("--side", type=int, default=12_000)
    parser.add_argument("--share", type=float, default=1.0)
    parser.add_argument("--model")
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--limit-mib", type=int, default=2048)
    arguments = parser.parse_args()
    torch.set_num_threads(arguments.threads)
    folder, limit = arguments.folder, arguments.limit_mib << 20
    folder.mkdir(parents=True, exist_ok=True)
    resource.setrlimit(resource.RLIMIT_DATA, (limit, limit))
    with small_cache():
        make_giant(folder / "giant.tif", arguments.side, arguments.share)
    predictor = Predictor(network(arguments.model))
    tiling = choose_tiling(predictor.facts)
    names = (folder / name for name in ("giant.tif", "giant_labels.tif", "giant_overlay.png"))
    start = time.perf_counter()
    predict_by_windows(predictor, *names, tiling)
    seconds = time.perf_counter() - start
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    stored = (folder / "giant_labels.tif").stat().st_size / 2**20
    print(
        f"{arguments.side}x{arguments.side}, tiles {tiling.tile[0]}x{tiling.tile[1]} overlap "
        f"{tiling.overlap}: {seconds:.0f} s, peak {peak:.0f} MiB resident under a limit of "
        f"{arguments.limit_mib} MiB, labels {stored:.0f} MiB"
    )


if __name__ == "__main__":
    main()
