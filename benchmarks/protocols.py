"""Every protocol of `dualseg evaluate` on one model, through the command itself: a table for docs.

    python benchmarks/protocols.py MODEL --data DIR_OR_NAME [--split val] [--threads 2] [--crf]

Each row is one command in a process of its own. The seconds are the whole command's,
start included; `--crf` adds the rows that take minutes.
"""

import argparse
import json
import subprocess
import sys
import time

PROTOCOLS: dict[str, list[str]] = {
    "whole": [],
    "whole, bf16": ["--precision", "bf16"],
    "flip": ["--flip"],
    "scales": ["--scales", "0.75,1,1.25"],
    "scales, flip": ["--scales", "0.75,1,1.25", "--flip"],
    "scales, flip, max": ["--scales", "0.75,1,1.25", "--flip", "--fusion", "max"],
    "output stride 8": ["--output-stride", "8"],
    "slide": ["--protocol", "slide", "--window", "240x320"],
    "slide, logits": ["--protocol", "slide", "--window", "240x320", "--average", "logits"],
    "crop": ["--protocol", "crop", "--window", "240x320"],
}
WITH_CRF: dict[str, list[str]] = {"whole, CRF": ["--crf"], "scales, flip, CRF": []}
WITH_CRF["scales, flip, CRF"] = [*PROTOCOLS["scales, flip"], "--crf"]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("model")
    parser.add_argument("--data", required=True)
    parser.add_argument("--split", default="val")
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--crf", action="store_true")
    arguments = parser.parse_args()
    given = [arguments.model, "--data", arguments.data, "--split", arguments.split]
    given += ["--precision", "fp32", "--threads", str(arguments.threads)]
    given += ["--scores", "interval,boundary_iou", "--json"]

    print("| protocol | options | mIoU | 95 % | pixel accuracy | boundary IoU | seconds |")
    print("| --- | --- | ---: | --- | ---: | ---: | ---: |")
    for name, options in {**PROTOCOLS, **(WITH_CRF if arguments.crf else {})}.items():
        command = [sys.executable, "-m", "dualseg", "evaluate", *given, *options]
        start = time.perf_counter()
        ended = subprocess.run(command, capture_output=True, text=True)
        seconds = time.perf_counter() - start
        if ended.returncode:
            print(f"| {name} | `{' '.join(options)}` | {ended.stderr.strip()} | | | | |")
            continue
        result = json.loads(ended.stdout)
        interval = result["miou_interval"]
        print(
            f"| {name} | `{' '.join(options)}` | {100 * result['miou']:.2f} "
            f"| {100 * interval['low']:.1f} to {100 * interval['high']:.1f} "
            f"| {100 * result['pixel_accuracy']:.2f} | {100 * result['boundary_iou']['mean']:.2f} "
            f"| {seconds:.0f} |",
            flush=True,
        )


if __name__ == "__main__":
    main()
