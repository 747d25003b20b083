"""Depthwise convolutions in bfloat16 and in fp32: forward and backward, alone and in a whole step.

    python benchmarks/depthwise.py [--threads 2]

The first table has single layers on batches of 8: milliseconds in bfloat16 and in fp32 (with the
casts there and back), their ratio, and which of the two `dualseg.training.depthwise` picks. The
second has training steps of DeepLabV3+ (forward, cross-entropy, backward, AdamW) on half of 360x480
pictures. The median of the rounds, rows taken in turn so that a change of the machine's speed meets
all of them.
"""

import argparse
from contextlib import nullcontext

import torch
import torch.nn.functional as F
from torch import Tensor

from dualseg.core.geometry import resize_logits
from dualseg.core.memory import keep_freed_memory
from dualseg.models.catalog import create_model
from dualseg.training.depthwise import FastDepthwise
from train_step import Step, median_seconds

Layer = tuple[int, tuple[int, int], int, int, int]  # channels, map, kernel, stride, dilation

# Of MobileNetV2, EfficientNet-Lite0, Xception and ASPP.
LAYERS: list[Layer] = [
    (144, (45, 60), 3, 1, 1),
    (256, (45, 60), 3, 1, 1),
    (672, (12, 15), 3, 1, 1),
    (96, (90, 120), 3, 2, 1),
    (144, (45, 60), 5, 2, 1),
    (240, (23, 30), 5, 1, 1),
    (1152, (12, 15), 5, 1, 1),
    (1152, (12, 15), 5, 1, 2),
    (960, (12, 15), 3, 1, 2),
    (728, (23, 30), 3, 1, 2),
    (512, (12, 15), 3, 1, 3),
    (512, (12, 15), 3, 1, 6),
    (512, (12, 15), 3, 1, 9),
]
NETWORKS = ["mobilenet_v2", "tf_efficientnet_lite0", "xception65", "resnet18"]
BATCH, SIZE, CLASSES = 8, (180, 240), 11


def layer_step(layer: Layer, *, in_fp32: bool) -> Step:
    channels, size, kernel, stride, dilation = layer
    images = torch.randn(BATCH, channels, *size).to(memory_format=torch.channels_last)
    images = images.bfloat16().requires_grad_()
    weight = torch.randn(channels, 1, kernel, kernel, requires_grad=True)

    def step() -> None:
        padding = dilation * (kernel // 2)
        ours, theirs = (images.float(), weight) if in_fp32 else (images, weight.to(torch.bfloat16))
        maps = F.conv2d(ours, theirs, None, stride, padding, dilation, channels).bfloat16()
        maps.backward(torch.ones_like(maps))
        images.grad = weight.grad = None

    return step


def picks_fp32(layer: Layer) -> bool:
    """Whether the layer is computed in fp32: its answer is what fp32 gives, bit by bit."""
    channels, size, kernel, stride, dilation = layer
    images = torch.randn(1, channels, *size)
    weight = torch.randn(channels, 1, kernel, kernel, requires_grad=True)
    rest = (None, stride, dilation * (kernel // 2), dilation, channels)
    with FastDepthwise(), torch.autocast("cpu", torch.bfloat16):
        picked = F.conv2d(images, weight, *rest)
    return torch.equal(picked, F.conv2d(images, weight, *rest).bfloat16())


def network_step(backbone: str, *, mode: str) -> Step:
    model = create_model(
        "deeplabv3plus", backbone=backbone, num_classes=CLASSES, output_stride=16
    ).train()
    model.to(memory_format=torch.channels_last)  # type: ignore[call-overload]
    optimizer = torch.optim.AdamW(model.parameters(), lr=1e-4, fused=True)
    images = torch.randn(BATCH, 3, *SIZE).to(memory_format=torch.channels_last)
    target = torch.randint(0, CLASSES, (BATCH, 2 * SIZE[0], 2 * SIZE[1]))

    def loss() -> Tensor:
        logits = model(images).logits
        return F.cross_entropy(resize_logits(logits.float(), target.shape[1:]), target)

    def step() -> None:
        fast = FastDepthwise() if mode == "ours" else nullcontext()
        with fast, torch.autocast("cpu", torch.bfloat16, enabled=mode != "fp32"):
            value = loss()
        value.backward()
        optimizer.step()
        optimizer.zero_grad()

    return step


def median_milliseconds(steps: dict[str, Step], rounds: int) -> dict[str, float]:
    return {name: 1000 * seconds for name, seconds in median_seconds(steps, rounds).items()}


def main() -> None:
    parser = argparse.ArgumentParser(description="Depthwise convolutions in bfloat16 and fp32.")
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--rounds", type=int, default=7)
    arguments = parser.parse_args()
    torch.set_num_threads(arguments.threads)
    torch.manual_seed(0)
    keep_freed_memory()
    print(f"torch {torch.__version__}, {arguments.threads} threads, batches of {BATCH}\n")
    print("| channels | map | kernel | stride | dilation | bf16 | fp32 | ratio | picked |")
    print("| ---: | ---: | ---: | ---: | ---: | ---: | ---: | ---: | --- |")
    for layer in LAYERS:
        steps = {name: layer_step(layer, in_fp32=name == "fp32") for name in ("bf16", "fp32")}
        taken = median_milliseconds(steps, arguments.rounds)
        channels, (height, width), kernel, stride, dilation = layer
        print(
            f"| {channels} | {height}x{width} | {kernel} | {stride} | {dilation} "
            f"| {taken['bf16']:.1f} ms | {taken['fp32']:.1f} ms "
            f"| {taken['bf16'] / taken['fp32']:.2f} | {'fp32' if picks_fp32(layer) else 'bf16'} |",
            flush=True,
        )
    print("\n| DeepLabV3+ on | bf16 throughout | fp32 | as picked | against bf16 |")
    print("| --- | ---: | ---: | ---: | ---: |")
    for backbone in NETWORKS:
        steps = {mode: network_step(backbone, mode=mode) for mode in ("bf16", "fp32", "ours")}
        taken = median_milliseconds(steps, arguments.rounds)
        print(
            f"| {backbone} | {taken['bf16']:.0f} ms | {taken['fp32']:.0f} ms "
            f"| {taken['ours']:.0f} ms | {taken['bf16'] / taken['ours']:.2f}x |",
            flush=True,
        )


if __name__ == "__main__":
    main()
