"""What another busy process costs, with long and with short waits between OpenMP's threads.

    python benchmarks/busy_machine.py [--threads 2] [--seconds 20] [--rounds 2]

Training is a step of DeepLabV3+ on ResNet-18, 192x256, batch 8, bf16 (as in train_step.py);
inference is that network on one picture of 180x240, which is made of much smaller shares. Each
number is from a process of its own, since OpenMP reads the length of a wait once; the ways are
taken in turns, and the middle one of the rounds counts. `beside one` is beside one process that
calculates on one core without end.
"""

import argparse
import os
import statistics
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from dualseg.core.threads import sleep_soon_when_waiting

AS_IT_COMES, SHORT = "as torch comes", "short waits (ours)"
ALONE, BESIDE = "alone", "beside one"
WORK = ("training", "inference")
WARM_UP = 3


def a_second(work: str, threads: int, seconds: float) -> float:
    """Steps, or pictures, that this process makes in a second."""
    import torch

    torch.set_num_threads(threads)
    torch.manual_seed(0)
    run = _training() if work == "training" else _inference()
    for _ in range(WARM_UP):
        run()
    start, done = time.perf_counter(), 0
    while (spent := time.perf_counter() - start) < seconds:
        run()
        done += 1
    return done / spent


def _training() -> Callable[[], object]:
    from train_step import our_step

    return our_step("resnet18", 8, (192, 256), 11, dsrl=None)


def _inference() -> Callable[[], object]:
    import torch

    from dualseg.models.catalog import create_model

    model = create_model("deeplabv3plus", backbone="resnet18", num_classes=11).eval()
    model = model.to(memory_format=torch.channels_last)
    image = torch.randn(1, 3, 180, 240).to(memory_format=torch.channels_last)

    @torch.inference_mode()
    def run() -> None:
        with torch.autocast("cpu", dtype=torch.bfloat16):
            model(image)

    return run


@contextmanager
def busy_neighbour() -> Iterator[None]:
    """A process that never rests."""
    process = subprocess.Popen([sys.executable, "-c", "while True: pass"])
    try:
        yield
    finally:
        process.kill()
        process.wait()


def in_a_process(way: str, place: str, work: str, options: argparse.Namespace) -> float:
    environment = {
        key: value
        for key, value in os.environ.items()
        if key not in ("GOMP_SPINCOUNT", "OMP_WAIT_POLICY")
    }
    if way == SHORT:
        sleep_soon_when_waiting(environment)
    command = [sys.executable, __file__, "--work", work, "--threads", str(options.threads)]
    command += ["--seconds", str(options.seconds)]

    def run() -> float:
        done = subprocess.run(command, check=True, stdout=subprocess.PIPE, env=environment)
        return float(done.stdout)

    if place == ALONE:
        return run()
    with busy_neighbour():
        return run()


def main() -> None:
    parser = argparse.ArgumentParser(description="What another busy process costs.")
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--seconds", type=float, default=20)
    parser.add_argument("--rounds", type=int, default=2)
    parser.add_argument("--work", choices=WORK, help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.work is not None:
        print(a_second(options.work, options.threads, options.seconds))
        return
    print(f"{'':28s}{ALONE:>12s}{BESIDE:>12s}{'kept':>8s}", flush=True)
    for work in WORK:
        rates: dict[tuple[str, str], list[float]] = {}
        for _ in range(options.rounds):
            for place in (ALONE, BESIDE):
                for way in (AS_IT_COMES, SHORT):
                    rate = in_a_process(way, place, work, options)
                    rates.setdefault((way, place), []).append(rate)
        for way in (AS_IT_COMES, SHORT):
            alone, beside = (statistics.median(rates[way, place]) for place in (ALONE, BESIDE))
            name = f"{work}, {way}"
            print(f"{name:28s}{alone:>12.2f}{beside:>12.2f}{beside / alone:>8.0%}", flush=True)


if __name__ == "__main__":
    main()
