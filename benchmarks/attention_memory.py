"""Peak memory and time of attention over a whole street scene, beside the naive product.

    python benchmarks/attention_memory.py [--height 1024] [--width 2048] [--training] [--naive]
    python benchmarks/attention_memory.py --networks --threads 2

At stride 8 an image of 1024x2048 has 32768 positions, whose naive product is a matrix of 2^30
weights: 4096 MiB, twice over in inference (scores, softmax), three times in training (weights and
the gradients of both). Every measurement is a process of its own, in fp32 and bf16: memory above
the inputs (largest resident set) and processor seconds of one pass, which other programs disturb
least with the default single thread. `--naive` measures the naive product too: it takes 9 GiB at
the size above. `--networks` runs whole networks on ResNet-50 at output stride 8 instead, in fp32.
At 65x129 positions all ways are compared number by number, and it ends with an
error where they differ.
"""

import argparse
import json
import resource
import subprocess
import sys
import time
from collections.abc import Callable
from typing import NamedTuple

import torch
from torch import Tensor

import dualseg
from dualseg.models.attention import as_maps, fused, in_blocks, positions
from dualseg.models.heads.ccnet import attend_criss_cross

STRIDE = 8
SMALL_MAP = (65, 129)
DTYPES = {"fp32": torch.float32, "bf16": torch.bfloat16}
NETWORKS = ("danet", "ocnet", "ccnet")
Inputs = tuple[Tensor, Tensor, Tensor]  # query, key, value as maps (B, C, h, w)


class Layer(NamedTuple):
    """Widths of an attention layer behind a ResNet-50, and the ways to compute it."""

    key_channels: int
    value_channels: int
    ways: dict[str, Callable[[Tensor, Tensor, Tensor], Tensor]]

    def inputs(self, size: tuple[int, int], dtype: torch.dtype, *, training: bool) -> Inputs:
        """Inner products are of the order of 1."""

        def maps(channels: int, deviation: float) -> Tensor:
            numbers = torch.randn(1, channels, *size, dtype=dtype).mul_(deviation)
            return numbers.requires_grad_(training)

        deviation = self.key_channels**-0.25
        query, key = maps(self.key_channels, deviation), maps(self.key_channels, deviation)
        return query, key, maps(self.value_channels, 1.0)


def attention_layer(key_channels: int, value_channels: int, scale: float) -> Layer:
    def over_positions(
        function: Callable[[Tensor, Tensor, Tensor], Tensor],
    ) -> Callable[[Tensor, Tensor, Tensor], Tensor]:
        return lambda query, key, value: as_maps(
            function(positions(query), positions(key), positions(value)), value
        )

    ways = {
        "in blocks": over_positions(lambda q, k, v: in_blocks(q, k, v, scale=scale)),
        "fused": over_positions(lambda q, k, v: fused(q, k, v, scale=scale)),
        "naive": over_positions(lambda q, k, v: torch.softmax(scale * q @ k.mT, dim=2) @ v),
    }
    return Layer(key_channels, value_channels, ways)


def masked_product(query: Tensor, key: Tensor, value: Tensor) -> Tensor:
    """Criss-cross attention as all pairs, those that share neither row nor column masked out."""
    height, width = query.shape[-2:]
    row = torch.arange(height).repeat_interleave(width)
    column = torch.arange(width).repeat(height)
    is_outside = (row[:, None] != row) & (column[:, None] != column)
    scores = (positions(query) @ positions(key).mT).masked_fill_(is_outside, float("-inf"))
    return as_maps(torch.softmax(scores, dim=2) @ positions(value), value)


LAYERS = {
    "DANet position": attention_layer(64, 512, 1.0),
    "OCNet base": attention_layer(256, 256, 256**-0.5),
    "CCNet": Layer(64, 512, {"criss-cross": attend_criss_cross, "naive": masked_product}),
}


def measure(layer: Layer, way: str, size: tuple[int, int], dtype: str, *, training: bool) -> dict:
    """In this process: MiB above the inputs, and seconds."""

    def run(inputs: Inputs) -> None:
        with torch.set_grad_enabled(training):
            attended = layer.ways[way](*inputs)
        if training:
            attended.backward(torch.ones_like(attended))

    run(layer.inputs((8, 8), DTYPES[dtype], training=training))  # libraries take what they need
    inputs = layer.inputs(size, DTYPES[dtype], training=training)
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    start = time.process_time()
    run(inputs)
    seconds = time.process_time() - start
    after = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return {"mib": (after - before) / 1024, "seconds": seconds}


def measure_network(name: str, size: tuple[int, int]) -> dict:
    """In this process: largest resident set in MiB before and after one image, and seconds."""
    model = dualseg.create_model(name, backbone="resnet50", num_classes=19, output_stride=STRIDE)
    model.eval().to(memory_format=torch.channels_last)  # type: ignore[call-overload]
    images = torch.randn(1, 3, *size).contiguous(memory_format=torch.channels_last)
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    start = time.perf_counter()
    with torch.inference_mode():
        model(images)
    seconds = time.perf_counter() - start
    after = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return {"before": before / 1024, "after": after / 1024, "seconds": seconds}


def naive_mib(size: tuple[int, int], dtype: str, *, training: bool) -> float:
    pairs = (size[0] * size[1]) ** 2
    return pairs * DTYPES[dtype].itemsize * (3 if training else 2) / 2**20


def largest_difference(layer: Layer, way: str) -> float:
    """From the naive product at the small map, relative to its largest number."""
    inputs = layer.inputs(SMALL_MAP, torch.float32, training=False)
    expected = layer.ways["naive"](*inputs)
    return float((layer.ways[way](*inputs) - expected).abs().max() / expected.abs().max())


def compare_networks(height: int, width: int) -> None:
    print(f"one image of {height}x{width}, ResNet-50, output stride {STRIDE}, fp32, whole process")
    print(f"{'':8s} {'MiB before':>12s} {'peak MiB':>10s} {'seconds':>9s}")
    for name in NETWORKS:
        command = [sys.executable, __file__, *sys.argv[1:], "--network", name]
        result = json.loads(subprocess.run(command, check=True, stdout=-1).stdout)
        print(
            f"{name:8s} {result['before']:12.0f} {result['after']:10.0f} {result['seconds']:9.1f}",
            flush=True,
        )


def main() -> None:
    parser = argparse.ArgumentParser(description="Memory and time of attention.")
    parser.add_argument("--height", type=int, default=1024)
    parser.add_argument("--width", type=int, default=2048)
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--training", action="store_true", help="forward and backward")
    parser.add_argument("--naive", action="store_true", help="measure the naive product too")
    parser.add_argument("--networks", action="store_true", help="whole networks instead of layers")
    parser.add_argument("--network", choices=NETWORKS, help=argparse.SUPPRESS)
    parser.add_argument("--child", nargs=3, help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    torch.set_num_threads(arguments.threads)
    torch.manual_seed(0)
    if arguments.network:
        print(json.dumps(measure_network(arguments.network, (arguments.height, arguments.width))))
        return
    if arguments.networks:
        compare_networks(arguments.height, arguments.width)
        return
    size = (-(-arguments.height // STRIDE), -(-arguments.width // STRIDE))
    training = arguments.training
    if arguments.child:
        name, way, dtype = arguments.child
        print(json.dumps(measure(LAYERS[name], way, size, dtype, training=training)))
        return

    count = size[0] * size[1]
    print(f"{count} positions, {'training' if training else 'inference'}, peak above the inputs")
    print(f"{'':18s} {'':12s} {'':4s} {'MiB':>7s} {'seconds':>8s} {'of the naive product':>22s}")
    for name, layer in LAYERS.items():
        for dtype in DTYPES:
            naive = naive_mib(size, dtype, training=training)
            for way in layer.ways:
                row = f"{name:18s} {way:12s} {dtype} "
                if way == "naive" and not arguments.naive:
                    print(f"{row}{naive:7.0f} {'':>8s} {'computed, not run':>22s}")
                    continue
                command = [sys.executable, __file__, *sys.argv[1:], "--child", name, way, dtype]
                result = json.loads(subprocess.run(command, check=True, stdout=-1).stdout)
                share = f"1/{naive / max(result['mib'], 1):.0f}" if way != "naive" else ""
                print(
                    f"{row}{result['mib']:7.0f} {result['seconds']:8.1f} {share:>22s}", flush=True
                )

    print(f"\nlargest difference from the naive product, {SMALL_MAP[0]}x{SMALL_MAP[1]} positions")
    for name, layer in LAYERS.items():
        for way in layer.ways:
            if way != "naive":
                difference = largest_difference(layer, way)
                print(f"{name:18s} {way:12s} {difference:.1e}")
                if difference > 1e-5:
                    sys.exit(f"{name}, {way}: {difference:.1e} is too much")


if __name__ == "__main__":
    main()
