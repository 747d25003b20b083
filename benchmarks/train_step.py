"""Seconds a training step takes, an image, beside a peer's network in the same run.

    pip install -e '.[bench]'
    python benchmarks/train_step.py [--size 192x256] [--batch 8] [--classes 11] [--threads 2]

Every row is forward, loss, backward and AdamW step on random images, the median of the repeats,
the rows taken in turn so that a change of the machine's speed meets all of them. `size` is the
network's input; a DSRL network is supervised at twice that. The peer is
segmentation_models_pytorch's DeepLabV3+ with the same backbone, as its users run it: fp32, default
memory format. Its rows, too, profit from the kept memory (see dualseg.core.memory); run once more
with --plain-memory for what its users get.
"""

import argparse
import json
import statistics
import time
from collections.abc import Callable
from typing import Any

import torch
import torch.nn.functional as F
from torch import nn

from dualseg.config import check_recipe
from dualseg.core.facts import default_labels
from dualseg.core.geometry import shrink_images
from dualseg.core.memory import keep_freed_memory
from dualseg.models.catalog import create_model
from dualseg.training.objectives.objective import TrainingBatch, create_objective

Step = Callable[[], None]


def peer_step(batch: int, size: tuple[int, int], classes: int, *, bf16: bool) -> Step:
    """segmentation_models_pytorch's network in the usual loop."""
    import segmentation_models_pytorch as smp

    model = smp.DeepLabV3Plus("resnet18", encoder_weights=None, classes=classes).train()
    images = torch.randn(batch, 3, *size)
    target = torch.randint(0, classes, (batch, *size))
    if bf16:
        model = model.to(memory_format=torch.channels_last)
        images = images.to(memory_format=torch.channels_last)
    optimizer = torch.optim.AdamW(model.parameters(), lr=1e-4)

    def step() -> None:
        with torch.autocast("cpu", dtype=torch.bfloat16, enabled=bf16):
            logits = model(images)
        optimizer.zero_grad()
        F.cross_entropy(logits.float(), target).backward()
        optimizer.step()

    return step


def our_step(
    batch: int,
    size: tuple[int, int],
    classes: int,
    *,
    dsrl: dict[str, Any] | None,
    bf16: bool = True,
    variant: str = "separable",
) -> Step:
    """Our network under our own objective, channels_last."""
    settings = {
        "dsrl": {"enabled": dsrl is not None, **(dsrl or {})},
        "data": {"input_scale": 0.5},
        "training": {"max_steps": 1},
    }
    recipe = check_recipe(settings, origin="benchmark")
    model: nn.Module = create_model(
        "deeplabv3plus",
        backbone="resnet18",
        num_classes=classes,
        head_variant=variant,
        dsrl=recipe.dsrl.architecture if dsrl is not None else False,
    ).to(memory_format=torch.channels_last)
    objective = create_objective(recipe, default_labels(classes))
    image_hr = torch.randn(batch, 3, 2 * size[0], 2 * size[1])
    image = shrink_images(image_hr, 0.5).to(memory_format=torch.channels_last)
    label_size = (2 * size[0], 2 * size[1]) if dsrl is not None else size
    target = torch.randint(0, classes, (batch, *label_size))
    training_batch = TrainingBatch(image, image_hr, target)
    optimizer = torch.optim.AdamW(model.parameters(), lr=1e-4)

    def step() -> None:
        with torch.autocast("cpu", dtype=torch.bfloat16, enabled=bf16):
            output = model(training_batch.image)
            losses = objective(output, training_batch, 0)
        optimizer.zero_grad()
        torch.stack(list(losses.values())).sum().backward()
        optimizer.step()

    return step


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--size", default="192x256")
    parser.add_argument("--batch", type=int, default=8)
    parser.add_argument("--classes", type=int, default=11)
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--repeats", type=int, default=7)
    parser.add_argument(
        "--plain-memory",
        action="store_true",
        help="leave freed memory to glibc's defaults, as a peer's user does",
    )
    parser.add_argument("--json", action="store_true")
    arguments = parser.parse_args()
    torch.set_num_threads(arguments.threads)
    torch.manual_seed(0)
    if not arguments.plain_memory:
        keep_freed_memory()
    height, width = (int(side) for side in arguments.size.split("x"))
    common = (arguments.batch, (height, width), arguments.classes)

    rows: dict[str, Step] = {
        "peer DeepLabV3+-R18, fp32": peer_step(*common, bf16=False),
        "peer DeepLabV3+-R18, bf16 channels_last": peer_step(*common, bf16=True),
        "ours DeepLabV3+-R18, fp32 channels_last": our_step(*common, dsrl=None, bf16=False),
        "ours DeepLabV3+-R18, bf16": our_step(*common, dsrl=None),
        "ours, standard convolutions, bf16": our_step(*common, dsrl=None, variant="standard"),
        "ours + SSSR, bf16": our_step(*common, dsrl={"stage": 1}),
        "ours + SSSR + SISR, bf16": our_step(*common, dsrl={"stage": 2}),
        "ours + SSSR + SISR + FA, bf16": our_step(*common, dsrl={"stage": 3}),
        "the same, FA as L2": our_step(*common, dsrl={"stage": 3, "affinity_distance": "l2"}),
    }
    seconds: dict[str, list[float]] = {name: [] for name in rows}
    for repeat in range(arguments.repeats + 1):  # the first is warm-up
        for name, step in rows.items():
            start = time.perf_counter()
            step()
            if repeat:
                seconds[name].append(time.perf_counter() - start)
    medians = {name: 1000 * statistics.median(s) / arguments.batch for name, s in seconds.items()}
    report(medians, arguments)


def report(medians: dict[str, float], arguments: argparse.Namespace) -> None:
    """Milliseconds an image, and two ratios: to the peer in fp32, and to our plain network."""
    peer = medians["peer DeepLabV3+-R18, fp32"]
    plain = medians["ours DeepLabV3+-R18, bf16"]
    if arguments.json:
        print(json.dumps({"size": arguments.size, "ms_per_image": medians}))
        return
    memory = "plain memory" if arguments.plain_memory else "freed memory kept"
    machine = f"{arguments.threads} threads, torch {torch.__version__}, {memory}"
    print(f"input {arguments.size}, batch {arguments.batch}, {machine}")
    print(f"{'':44s} ms/image  peer fp32 / this  this / ours plain")
    for name, value in medians.items():
        print(f"{name:44s} {value:8.1f}  {peer / value:15.2f}x  {value / plain:16.2f}x")


if __name__ == "__main__":
    main()
