"""Our exports and runtimes against the peers' of the same weights, row by row.

    pip install -e '.[bench,onnx,openvino]'
    python benchmarks/runtimes.py [--row N]... [--rounds 9] [--threads 2] [--size 512x1024]
        [--model RUN --data DIR] [--files 6] [--plain] [--json]

The peers' networks (segmentation_models_pytorch, torchvision) get random weights, which our
importers read: both sides compute the same. Each row builds both sides, warms them up and times
them in turns; milliseconds are medians, the ratio is the median of the rounds' ratios. "ms" of a
row is one image, or the whole folder. Rewrites are chosen by timing them on this machine first.
int8 is scored on a run of yours with its data; without, a small network is trained for some steps.
"""

import argparse
import gc
import json
import logging
import sys
import warnings
from collections.abc import Callable
from pathlib import Path

import torch

from dualseg.core.memory import keep_freed_memory
from runtime_parts import folder, int8, rows
from runtime_parts.roofs import measure_roofs
from runtime_parts.rows import Row, Settings

ROWS: dict[int, Callable[[Settings], Row]] = {
    1: rows.deeplabv3plus_eager,
    2: rows.deeplabv3plus_openvino,
    3: rows.deeplabv3,
    4: rows.pspnet,
    5: rows.pspnet_of_the_paper,
    6: rows.danet,
    7: rows.ccnet,
    8: rows.ocnet,
    9: int8.int8,
    10: rows.dsrl,
    11: rows.dsrl_bilinear,
    12: folder.folder,
}


def main() -> None:
    arguments = _arguments()
    warnings.simplefilter("ignore")
    logging.disable(logging.WARNING)
    torch.set_num_threads(arguments.threads)
    keep_freed_memory()
    height, _, width = arguments.size.partition("x")
    settings = Settings(
        arguments.rounds,
        (int(height), int(width)),
        arguments.model,
        arguments.data,
        arguments.files,
        not arguments.plain,
    )
    roofs = measure_roofs()
    if not arguments.json:
        _print_roofs(roofs, arguments.threads)
    found: list[tuple[int, Row]] = []
    for number in arguments.row or ROWS:
        print(f"row {number} ...", file=sys.stderr, flush=True)
        torch.manual_seed(0)
        row = ROWS[number](settings)
        found.append((number, row))
        if not arguments.json:
            _print_row(number, row, is_first=len(found) == 1)
        gc.collect()
    if arguments.json:
        plain = [_plain(number, row) for number, row in found]
        print(json.dumps({"roofs": roofs, "threads": arguments.threads, "rows": plain}, indent=1))
        return
    print()
    for number, row in found:
        if row.note:
            print(f"{number}: {row.note}")


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description="Runtimes against the peers'.")
    parser.add_argument("--row", type=int, action="append", choices=list(ROWS))
    parser.add_argument("--rounds", type=int, default=9)
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--size", default="512x1024", help="height x width of the images")
    parser.add_argument("--model", type=Path, help="a trained run, for int8")
    parser.add_argument("--data", type=Path, help="its data set's folder")
    parser.add_argument("--files", type=int, default=6, help="images of the folder row")
    parser.add_argument("--plain", action="store_true", help="only rewrites that remove work")
    parser.add_argument("--json", action="store_true")
    arguments = parser.parse_args()
    if (arguments.model is None) != (arguments.data is None):
        parser.error("give --model and --data together")
    return arguments


def _print_roofs(roofs: dict[str, float], threads: int) -> None:
    native = "" if roofs["bf16 in the processor"] else " (no bf16 instructions: fp32 is used)"
    print(
        f"{threads} threads; 1x1 convolutions reach {roofs['fp32']:.0f} GFLOP/s in fp32, "
        f"{roofs['bf16']:.0f} in bf16{native}, {roofs['int8']:.0f} in int8; copies "
        f"{roofs['copy']:.0f} GB/s\n"
    )


def _print_row(number: int, row: Row, *, is_first: bool) -> None:
    if is_first:
        print("| | work | against | ours ms | theirs ms | ratio | goal | reached |")
        print("| --- | --- | --- | ---: | ---: | ---: | ---: | --- |")
    compared = row.compared
    print(
        f"| {number} | {row.work} | {row.against} | {compared.ours:.1f} | {compared.peer:.1f} | "
        f"{compared.ratio:.2f}x | {row.goal:g}x | {'yes' if row.is_reached else 'no'} |",
        flush=True,
    )


def _plain(number: int, row: Row) -> dict[str, object]:
    return {
        "row": number,
        "work": row.work,
        "against": row.against,
        "ours_ms": row.compared.ours,
        "theirs_ms": row.compared.peer,
        "ratio": row.compared.ratio,
        "goal": row.goal,
        "is_reached": row.is_reached,
        "note": row.note,
    }


if __name__ == "__main__":
    main()
