"""What each exact rewrite of a network gains on this machine, at its place and in the whole.

    pip install -e '.[openvino]'
    python benchmarks/rewrites.py NETWORK [--backbone resnet50] [--output-stride 8]
        [--size 512x1024] [--runtime openvino] [--threads 2] [--rounds 7]

A gain is the time of the layer as it is by that of its other form, on noise of the shape it meets,
the fastest of the rounds, which are taken in turns. The best form is kept if it gains 3 per cent
there and the whole network is faster with it ("in all"). The difference is that of the logits in
fp32, by the largest of them.
"""

import argparse
import statistics
import warnings

import torch

from dualseg.export.pieces import Network
from dualseg.export.rewrites.measure import RUNTIMES, milliseconds_in_turns, runnable
from dualseg.export.rewrites.optimize import optimize
from dualseg.models.catalog import create_model


def main() -> None:
    arguments = _arguments()
    warnings.simplefilter("ignore")
    torch.set_num_threads(arguments.threads)
    torch.manual_seed(0)
    height, _, width = arguments.size.partition("x")
    size = (int(height), int(width))
    model = create_model(
        arguments.network,
        backbone=arguments.backbone,
        output_stride=arguments.output_stride,
        num_classes=19,
    ).eval()
    rounds = arguments.rounds
    done = optimize(model, size=size, runtime=arguments.runtime, rounds=rounds)
    print("| rewrite | layers | gain there | in all | kept |\n| --- | --- | ---: | ---: | --- |")
    for step in done.steps:
        gains = ["" if gain is None else f"{gain:.2f}x" for gain in (step.gain, step.whole_gain)]
        places = f"{len(step.where)}: {step.where[0]}" if step.where else "all"
        kept = "yes" if step.is_kept else "no"
        print(f"| {step.what} | {places} | {' | '.join(gains)} | {kept} |")
    images = torch.randn(1, 3, *size)
    ways = [
        runnable(Network(network), [images], arguments.runtime)  # type: ignore[arg-type]
        for network in (model.prune(), done.model)
    ]
    before, after = milliseconds_in_turns(ways, rounds=rounds)
    ratio = statistics.median(b / a for b, a in zip(before, after, strict=True))
    with torch.inference_mode():
        wanted, got = model(images).logits, done.model(images).logits
    difference = float((got - wanted).abs().max() / wanted.abs().max())
    print(
        f"\nthe whole network in {arguments.runtime}: {statistics.median(before):.0f} ms as it is, "
        f"{statistics.median(after):.0f} rewritten, {ratio:.2f}x; logits differ by {difference:.0e}"
    )


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description="Exact rewrites, measured.")
    parser.add_argument("network", help="a catalogue name, such as deeplabv3")
    parser.add_argument("--backbone", default="resnet50")
    parser.add_argument("--output-stride", type=int, default=8)
    parser.add_argument("--size", default="512x1024")
    parser.add_argument("--runtime", default="openvino", choices=RUNTIMES)
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--rounds", type=int, default=7)
    return parser.parse_args()


if __name__ == "__main__":
    main()
