"""The row of whole folders: PNG files in, PNG label maps out."""

import os
import shutil
import tempfile
import time
from pathlib import Path

import numpy as np
import torch
import torch.nn.functional as F
from PIL import Image
from torch import nn

from dualseg.core.geometry import Size
from dualseg.data.scenes.scene import draw_scene
from dualseg.inference.files import PredictOptions, predict_files
from dualseg.inference.predictor import Predictor
from runtime_parts import ours, peers
from runtime_parts.rows import Row, Settings
from runtime_parts.turns import compare


def folder(settings: Settings) -> Row:
    peer = peers.smp_deeplabv3plus()
    model, facts = peers.imported(peer, "smp", "deeplabv3plus_resnet50-os16")
    size = (2 * settings.size[0], 2 * settings.size[1])
    built = ours.export(model, facts, size, measure=settings.measure)
    predictor = Predictor(built.exported)
    with tempfile.TemporaryDirectory() as name:
        images, out = Path(name) / "images", Path(name) / "out"
        _write_images(images, size, settings.num_files)

        def own() -> None:
            shutil.rmtree(out, ignore_errors=True)
            predict_files(predictor, [images], out, options=PredictOptions(write=("labels",)))

        def theirs() -> None:
            shutil.rmtree(out, ignore_errors=True)
            out.mkdir()
            usual_loop(peer, images, out)

        compared = compare(own, theirs, rounds=max(1, settings.rounds // 3))
        start = time.process_time()
        own()
        busy = (time.process_time() - start) / settings.num_files
    threads = torch.get_num_threads()
    each = compared.ours / settings.num_files
    return Row(
        f"DeepLabV3+-R50 OS16, folder of {settings.num_files} PNGs {size[0]}x{size[1]}",
        "smp, the usual loop",
        10.0,
        compared,
        f"{each:.0f} ms an image on {threads} threads, {1e3 * busy:.0f} ms of processor time; per "
        f"core {1e3 / each / threads:.2f} images/s and "
        f"{1e3 * settings.num_files / compared.peer / threads:.2f}; rewrites kept: "
        f"{ours.kept(built.steps)}",
    )


def usual_loop(peer: nn.Module, images: Path, out: Path) -> None:
    """Open, to tensor, normalise, network in fp32, resize, arg-max, save."""
    from torchvision import transforms

    prepare = transforms.Compose(
        [transforms.ToTensor(), transforms.Normalize(peers.MEAN, peers.STD)]
    )
    for path in sorted(images.iterdir()):
        image = Image.open(path).convert("RGB")
        with torch.no_grad():
            logits = peers.logits_of(peer)(prepare(image)[None])
            size = (image.height, image.width)
            logits = F.interpolate(logits, size, mode="bilinear", align_corners=False)
            label_map = logits.argmax(dim=1)[0].to(torch.uint8).numpy()
        Image.fromarray(label_map).save(out / path.name)


def _write_images(folder: Path, size: Size, count: int) -> None:
    """Drawn street scenes, with the noise of a camera: the files are as large as real ones."""
    os.makedirs(folder)
    for number in range(count):
        random = np.random.default_rng(number)
        picture, _ = draw_scene(size, random)
        noisy = picture.astype(np.int16) + random.integers(-3, 4, picture.shape, np.int16)
        Image.fromarray(noisy.clip(0, 255).astype(np.uint8)).save(folder / f"{number:03d}.png")
