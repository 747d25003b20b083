"""`dualseg evaluate`"""

from enum import Enum
from typing import Annotated

import typer

from dualseg.cli.console import counting, percent, print_json, print_table, say
from dualseg.cli.options import Data, Device, Json, Model, Precision, Threads

EXAMPLE = "Example: dualseg evaluate runs/camvid --data CamVid --split val"


class Protocol(str, Enum):
    """How images are given to the network."""

    whole = "whole"


def evaluate(
    model: Model,
    data: Data = None,
    split: Annotated[
        str | None, typer.Option("--split", help="Part of the data set; the validation split.")
    ] = None,
    protocol: Annotated[
        Protocol, typer.Option("--protocol", help="whole: whole images, scored at native size.")
    ] = Protocol.whole,
    device: Device = "auto",
    threads: Threads = None,
    precision: Precision = "fp32",
    json: Json = False,
) -> None:
    """Score a network on a data set. The protocol stands beside the number."""
    import torch

    from dualseg.checkpoints.model_files import load_model
    from dualseg.cli.recipes import open_evaluation_data
    from dualseg.evaluation.evaluate import evaluate as evaluate_network
    from dualseg.training.environment import choose_device

    if threads is not None:
        torch.set_num_threads(threads)
    network = load_model(model)
    labels = network.facts.labels if network.facts else None
    dataset = open_evaluation_data(model, data, split, labels)
    with counting("evaluating") as progress:
        evaluation = evaluate_network(
            network,
            dataset,
            device=choose_device(device),
            precision=precision,  # type: ignore[arg-type]  (checked there)
            progress=progress,
        )
    result = evaluation.to_dict()
    if json:
        print_json(result)
        return
    rows = [[name, percent(iou)] for name, iou in result["iou_per_class"].items()]
    print_table(f"IoU on {len(dataset)} images of {dataset.split}", ["class", "IoU"], rows)
    absent = evaluation.classes_without_pixels
    if absent:
        say(
            f"not in the truth: {', '.join(absent)}; IoU is 0 where such a class was predicted all "
            "the same, and left out of the mean otherwise"
        )
    scale = result["protocol"]["input_scale"]
    print(
        f"mIoU {percent(result['miou'])}, pixel accuracy {percent(result['pixel_accuracy'])}, "
        f"class accuracy {percent(result['class_accuracy'])}, "
        f"ignored {percent(result['ignored_share'])} "
        f"(protocol: {result['protocol']['name']}, native resolution, "
        f"network input scaled by {scale:g}, {precision})"
    )
