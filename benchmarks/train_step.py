"""Images a second and peak memory of a training step, beside peers' in the same run.

    pip install -e '.[bench]'
    python benchmarks/train_step.py [--backbone resnet18] [--size 192x256]... [--batch 8]

Every row is forward, losses, backward and optimiser step on random images, the median of the
rounds, the rows taken in turn so that a change of the machine's speed meets all of them. Memory is
what the largest resident set grows by in a process that makes two steps of one row. `size` is the
network's input; a DSRL network is supervised at twice that.

Peers are as their users run them, fp32 in the default memory format: segmentation_models_pytorch's
DeepLabV3+ under AdamW; for ResNet-50 also torchvision's DeepLabV3 (stride 8) with its auxiliary
head under SGD, as in its reference script. They profit from the kept memory, too: run once more
with --plain-memory for what their users get (see dualseg.core.memory).
"""

import argparse
import json
import resource
import statistics
import subprocess
import sys
import time
from collections.abc import Callable
from functools import partial
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from dualseg.config import check_recipe
from dualseg.core.facts import default_labels
from dualseg.core.geometry import shrink_images
from dualseg.core.memory import keep_freed_memory
from dualseg.models.catalog import create_model
from dualseg.training.objectives.objective import TrainingBatch, create_objective

Size = tuple[int, int]
Step = Callable[[], None]
STRIDE = 16  # segmentation_models_pytorch refuses sides that are no multiple of it
PEER, PLAIN, SSSR = "smp DeepLabV3+, fp32", "ours DeepLabV3+, bf16", "ours + SSSR, bf16"


def rows(backbone: str, batch: int, size: Size, classes: int) -> dict[str, Callable[[], Step]]:
    """Name -> what makes the step; nothing is built before it is called."""
    ours = partial(our_step, backbone, batch, size, classes)
    smp = partial(smp_step, backbone, batch, size, classes)
    torchvision = partial(torchvision_step, batch, size, classes)
    return {
        PEER: partial(smp, bf16=False),
        "smp DeepLabV3+, bf16 channels_last": partial(smp, bf16=True),
        **({"torchvision DeepLabV3, fp32": torchvision} if backbone == "resnet50" else {}),
        "ours DeepLabV3+, fp32 channels_last": partial(ours, dsrl=None, bf16=False),
        PLAIN: partial(ours, dsrl=None),
        "ours, standard convolutions, bf16": partial(ours, dsrl=None, variant="standard"),
        SSSR: partial(ours, dsrl={"stage": 1}),
        "ours + SSSR + SISR, bf16": partial(ours, dsrl={"stage": 2}),
        "ours + SSSR + SISR + FA, bf16": partial(ours, dsrl={"stage": 3}),
        "the same, FA as L2": partial(ours, dsrl={"stage": 3, "affinity_distance": "l2"}),
    }


def smp_step(backbone: str, batch: int, size: Size, classes: int, *, bf16: bool) -> Step:
    """segmentation_models_pytorch's network in the usual loop."""
    import segmentation_models_pytorch as smp

    model = smp.DeepLabV3Plus(backbone, encoder_weights=None, classes=classes)
    optimizer = torch.optim.AdamW(model.parameters(), lr=1e-4)
    images, target = random_batch(batch, size, classes)
    height, width = size

    def loss(images: Tensor) -> Tensor:
        logits = model(F.pad(images, (0, -width % STRIDE, 0, -height % STRIDE)))
        return F.cross_entropy(logits[..., :height, :width].float(), target)

    return usual_step(model, optimizer, images, loss, bf16=bf16)


def torchvision_step(batch: int, size: Size, classes: int) -> Step:
    """torchvision's DeepLabV3 on ResNet-50 as its reference script trains it."""
    from torchvision.models.segmentation import deeplabv3_resnet50

    model = deeplabv3_resnet50(
        weights=None, weights_backbone=None, num_classes=classes, aux_loss=True
    )
    optimizer = torch.optim.SGD(model.parameters(), lr=1e-4, momentum=0.9, weight_decay=1e-4)
    images, target = random_batch(batch, size, classes)

    def loss(images: Tensor) -> Tensor:
        output = model(images)
        main, auxiliary = (F.cross_entropy(output[key], target) for key in ("out", "aux"))
        return main + 0.5 * auxiliary

    return usual_step(model, optimizer, images, loss, bf16=False)


def usual_step(
    model: nn.Module,
    optimizer: torch.optim.Optimizer,
    images: Tensor,
    loss: Callable[[Tensor], Tensor],
    *,
    bf16: bool,
) -> Step:
    """What peers' tutorials write; bf16 comes with channels_last."""
    model.train()
    if bf16:
        model.to(memory_format=torch.channels_last)  # type: ignore[call-overload]
        images = images.to(memory_format=torch.channels_last)

    def step() -> None:
        with torch.autocast("cpu", dtype=torch.bfloat16, enabled=bf16):
            value = loss(images)
        optimizer.zero_grad()
        value.backward()
        optimizer.step()

    return step


def our_step(
    backbone: str,
    batch: int,
    size: Size,
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
        backbone=backbone,
        num_classes=classes,
        head_variant=variant,
        dsrl=recipe.dsrl.architecture if dsrl is not None else False,
    ).to(memory_format=torch.channels_last)
    objective = create_objective(recipe, default_labels(classes))
    size_hr = (2 * size[0], 2 * size[1])
    image_hr, target = random_batch(batch, size_hr, classes)
    if dsrl is None:
        target = target[:, : size[0], : size[1]]
    image = shrink_images(image_hr, 0.5).to(memory_format=torch.channels_last)
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


def random_batch(batch: int, size: Size, classes: int) -> tuple[Tensor, Tensor]:
    return torch.randn(batch, 3, *size), torch.randint(0, classes, (batch, *size))


def median_seconds(steps: dict[str, Step], rounds: int) -> dict[str, float]:
    seconds: dict[str, list[float]] = {name: [] for name in steps}
    for number in range(rounds + 1):  # the first is warm-up
        for name, step in steps.items():
            start = time.perf_counter()
            step()
            if number:
                seconds[name].append(time.perf_counter() - start)
    return {name: statistics.median(values) for name, values in seconds.items()}


def peak_mib(run: Callable[[], object]) -> float:
    """What the largest resident set of this process grows by."""
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    run()
    return (resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before) / 1024


def peak_of(arguments: argparse.Namespace, name: str, size_text: str) -> float:
    """Of two steps of a row: everything is there in the second."""
    common = (arguments.backbone, arguments.batch, parse_size(size_text), arguments.classes)
    make = rows(*common)[name]

    def two_steps() -> None:
        step = make()
        step()
        step()

    return peak_mib(two_steps)


def in_a_process(*arguments: str) -> float:
    """A number that this script prints when called so."""
    command = [sys.executable, __file__, *sys.argv[1:], *arguments]
    return float(subprocess.run(command, check=True, stdout=-1).stdout)


def compare(arguments: argparse.Namespace, size_text: str) -> dict[str, dict[str, float]]:
    size = parse_size(size_text)
    makers = rows(arguments.backbone, arguments.batch, size, arguments.classes)
    memory = {name: in_a_process("--memory-of", name, size_text) for name in makers}
    steps = {name: make() for name, make in makers.items()}
    seconds = median_seconds(steps, arguments.rounds)
    return {
        name: {"images_per_second": arguments.batch / seconds[name], "peak_mib": memory[name]}
        for name in makers
    }


def show(table: dict[str, dict[str, float]]) -> None:
    """Rates, with the ratio to the peer in fp32, to our plain network, and to SSSR alone."""
    head = ("images/s", "x peer", "time/plain", "time/SSSR", "peak MiB", "x peer")
    print(f"{'':38s}" + "".join(f"{word:>12s}" for word in head))
    for name, row in table.items():
        rate, memory = row.values()
        numbers = (
            f"{rate:.1f}",
            f"{rate / table[PEER]['images_per_second']:.2f}",
            f"{table[PLAIN]['images_per_second'] / rate:.2f}",
            f"{table[SSSR]['images_per_second'] / rate:.2f}",
            f"{memory:.0f}",
            f"{memory / table[PEER]['peak_mib']:.2f}",
        )
        print(f"{name:38s}" + "".join(f"{number:>12s}" for number in numbers), flush=True)


def parse_size(text: str) -> Size:
    height, width = (int(side) for side in text.split("x"))
    return height, width


def main() -> None:
    parser = argparse.ArgumentParser(description="Speed and memory of a training step.")
    parser.add_argument("--backbone", choices=("resnet18", "resnet50"), default="resnet18")
    parser.add_argument("--size", action="append", metavar="HxW", help="again for another one")
    parser.add_argument("--batch", type=int, default=8)
    parser.add_argument("--classes", type=int, default=11)
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--rounds", type=int, default=7)
    parser.add_argument("--plain-memory", action="store_true", help="glibc's defaults")
    parser.add_argument("--json", action="store_true")
    parser.add_argument("--memory-of", nargs=2, help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    torch.set_num_threads(arguments.threads)
    torch.manual_seed(0)
    if not arguments.plain_memory:
        keep_freed_memory()
    if arguments.memory_of:
        print(peak_of(arguments, *arguments.memory_of))
        return
    memory = "plain memory" if arguments.plain_memory else "freed memory kept"
    tables = {}
    for size in arguments.size or ["192x256", "360x480"]:
        tables[size] = compare(arguments, size)
        if not arguments.json:
            machine = f"{arguments.threads} threads, torch {torch.__version__}, {memory}"
            print(f"{arguments.backbone}, input {size}, batch {arguments.batch}, {machine}")
            show(tables[size])
    if arguments.json:
        print(json.dumps({"backbone": arguments.backbone, "batch": arguments.batch} | tables))


if __name__ == "__main__":
    main()
