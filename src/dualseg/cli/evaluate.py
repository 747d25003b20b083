"""`dualseg evaluate`"""

import math
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from dualseg.cli.console import counting, percent, print_json, print_table, say
from dualseg.cli.many import one_voice
from dualseg.cli.options import AllowMissing, Data, Device, Json, ModelOrExported, Runtime, Threads
from dualseg.cli.protocol_options import (
    AverageChoice,
    AverageOption,
    Crf,
    CrfSet,
    Flip,
    FusionChoice,
    FusionOption,
    OutputStride,
    ProtocolChoice,
    ProtocolOption,
    Scales,
    Stride,
    Window,
    read_protocol,
)
from dualseg.core.errors import InputError
from dualseg.core.words import counted
from dualseg.visual.protocol_words import describe_protocol

if TYPE_CHECKING:
    from torch import nn

    from dualseg.core.facts import ModelFacts
    from dualseg.evaluation.evaluate import Evaluation
    from dualseg.evaluation.tally import ImageScore
    from dualseg.inference.strategies import Precision

SHOWN_IMAGES = 20
EXAMPLE = (
    "Example: dualseg evaluate runs/camvid --protocol slide --window 240x320 --scales 0.75,1 --flip"
)


def evaluate(
    model: ModelOrExported,
    data: Data = None,
    split: Annotated[
        str | None, typer.Option("--split", help="Part of the data set; the validation split.")
    ] = None,
    allow_missing: AllowMissing = False,
    protocol: ProtocolOption = ProtocolChoice.whole,
    window: Window = None,
    stride: Stride = None,
    average: AverageOption = AverageChoice.softmax,
    scales: Scales = None,
    flip: Flip = False,
    fusion: FusionOption = FusionChoice.mean,
    output_stride: OutputStride = None,
    crf: Crf = False,
    crf_set: CrfSet = None,
    scores: Annotated[
        str | None,
        typer.Option(
            "--scores",
            metavar="A,B,...",
            help="More scores: interval, batch, cross_entropy, calibration, boundary_iou, "
            "boundary_f, trimap, object_sizes, uncertainty, or all.",
        ),
    ] = None,
    per_image: Annotated[
        bool,
        typer.Option(
            "--per-image", help="Show the worst images too; --json has the scores of all of them."
        ),
    ] = False,
    unlike: Annotated[
        Path | None,
        typer.Option(
            "--unlike",
            metavar="VAL.json",
            help="Name images less familiar to the network than 99 % of those of an earlier "
            "evaluation, kept with --scores uncertainty --json.",
        ),
    ] = None,
    device: Device = "auto",
    threads: Threads = None,
    precision: Annotated[
        str | None,
        typer.Option(
            "--precision",
            help="fp32 or bf16; that of the model's stored score, else fp32, where not given.",
        ),
    ] = None,
    runtime: Runtime = None,
    json: Json = False,
) -> None:
    """Score a network on a data set. The protocol stands beside the number."""
    import torch

    from dualseg.cli.recipes import open_evaluation_data
    from dualseg.evaluation.evaluate import evaluate as evaluate_network
    from dualseg.evaluation.extra_scores import score_names
    from dualseg.evaluation.unlike import read_limits
    from dualseg.export.loading import load_model
    from dualseg.inference.output_stride import with_output_stride
    from dualseg.inference.strategies import find_facts
    from dualseg.models.segmentation import SegmentationModel
    from dualseg.training.environment import choose_device

    asked = score_names(scores.split(",") if scores else [])
    limits = read_limits(unlike) if unlike is not None else None
    if limits is not None and "uncertainty" not in asked:
        asked = score_names([*asked, "uncertainty"])
    how = read_protocol(
        name=protocol,
        window=window,
        stride=stride,
        average=average,
        scales=scales,
        flip=flip,
        fusion=fusion,
        output_stride=output_stride,
        crf=crf,
        crf_set=crf_set,
    )
    if threads is not None:
        torch.set_num_threads(threads)
    network = load_model(model, runtime=runtime)
    facts = find_facts(network, None)
    if output_stride is not None:
        if not isinstance(network, SegmentationModel):
            raise InputError("an exported file keeps its output stride; export the network anew")
        network = with_output_stride(network, facts, output_stride)
    dataset = open_evaluation_data(model, data, split, facts.labels, allow_missing=allow_missing)
    with one_voice() as processes, counting("evaluating") as progress:
        if processes.rank == 0:
            for note in getattr(dataset, "label_notes", ()):  # of shards
                say(note)
        evaluation = evaluate_network(
            network,
            dataset,
            device=choose_device(device, processes),
            precision=precision or _precision_of_score(network, facts),  # type: ignore[arg-type]
            protocol=how,
            scores=asked,
            processes=processes,
            progress=progress,
        )
    if processes.rank > 0:
        return
    result = evaluation.to_dict()
    if limits is not None:
        result["unlike"] = evaluation.unlike(limits)
    if per_image:
        result["per_image"] = evaluation.image_rows()
    if json:
        print_json(result)
        return
    if per_image:
        _print_images(evaluation.per_image)
    _print_scores(evaluation, result, f"{counted(len(dataset), 'image')} of {dataset.split}")


def _precision_of_score(network: "nn.Module", facts: "ModelFacts") -> "Precision":
    """In which the stored score was measured: a run's own network gets its own score again."""
    from dualseg.inference.strategies import PreparesImages

    stored = (facts.protocol or {}).get("precision")
    return "bf16" if stored == "bf16" and not isinstance(network, PreparesImages) else "fp32"


def _print_images(images: "Sequence[ImageScore]") -> None:
    """The worst first, then those whose truth is all ignored, which have no score."""
    worst_first = sorted(images, key=lambda image: math.inf if image.miou is None else image.miou)
    rows = [
        [image.name, percent(image.miou), percent(image.pixel_accuracy)]
        for image in worst_first[:SHOWN_IMAGES]
    ]
    print_table("images, worst first", ["image", "mIoU", "pixel accuracy"], rows)
    if len(images) > SHOWN_IMAGES:
        print(f"and {len(images) - SHOWN_IMAGES} more images; --per-image --json gives all of them")


def _print_scores(evaluation: "Evaluation", result: Mapping[str, Any], what: str) -> None:
    boundary = {
        title: result[key]["per_class"]
        for title, key in (("boundary IoU", "boundary_iou"), ("boundary F", "boundary_f"))
        if key in result
    }
    rows = [
        [name, percent(iou), *(percent(values[name]) for values in boundary.values())]
        for name, iou in result["iou_per_class"].items()
    ]
    print_table(f"IoU on {what}", ["class", "IoU", *boundary], rows)
    absent = evaluation.classes_without_pixels
    if absent:
        say(
            f"not in the truth: {', '.join(absent)}; IoU is 0 where such a class was predicted all "
            "the same, and left out of the mean otherwise"
        )
    for line in _more_scores(result):
        print(line)
    print(
        f"mIoU {percent(result['miou'])}, pixel accuracy {percent(result['pixel_accuracy'])}, "
        f"class accuracy {percent(result['class_accuracy'])}, "
        f"ignored {percent(result['ignored_share'])} "
        f"(protocol: {describe_protocol(result['protocol'])})"
    )


def _more_scores(result: Mapping[str, Any]) -> list[str]:
    """One line for each score that was asked for."""
    lines = [f"mean of the images' own mIoUs {percent(result['miou_per_image'])}"]
    interval = result.get("miou_interval")
    if interval:
        lines.append(
            f"mIoU of other such images: {percent(interval['low'])} to {percent(interval['high'])} "
            f"({100 * interval['level']:g} % interval, {interval['method']})"
        )
    if "miou_per_batch" in result:
        batch = result["miou_per_batch"]
        lines.append(
            f"mean of the mIoUs of batches of {batch['batch_size']}: {percent(batch['value'])} "
            "(only to compare with tables made so)"
        )
    if result.get("cross_entropy") is not None:
        lines.append(f"cross-entropy {result['cross_entropy']:.4f} nats a pixel")
    if "calibration" in result:
        error, bins = result["calibration"]["ece"], len(result["calibration"]["bins"])
        lines.append(f"expected calibration error {percent(error)} ({bins} bins)")
    for title, key in (("boundary IoU", "boundary_iou"), ("boundary F", "boundary_f")):
        if key in result:
            ratio = f"{100 * result[key]['ratio']:g} % of the diagonal"
            lines.append(f"mean {title} {percent(result[key]['mean'])} ({ratio})")
    if "trimap" in result:
        near = ", ".join(
            f"within {band['to']} px {percent(band['pixel_accuracy'])}"
            for band in result["trimap"]["within"]
        )
        far = result["trimap"]["bands"][-1]
        lines.append(
            f"pixel accuracy around boundaries: {near}; "
            f"from {far['from']} px {percent(far['pixel_accuracy'])}"
        )
    if "object_sizes" in result:
        sizes = result["object_sizes"]
        small, large = sizes["limits"]
        for size, area in (("small", f"< {small}"), ("medium", ""), ("large", f">= {large}")):
            of_size = sizes[size]
            lines.append(
                f"recall of {of_size['num_objects']} {size} objects"
                f"{f' ({area} pixels)' if area else ''}: {percent(of_size['recall'])}"
            )
    if result.get("uncertainty"):
        known = result["uncertainty"].items()
        mean = {name: values["mean"] for name, values in known if values is not None}
        shift = f", feature shift {mean['feature_shift']:.3f}" if "feature_shift" in mean else ""
        lines.append(
            f"mean confidence {percent(mean['confidence'])}, mean entropy {mean['entropy']:.3f} "
            f"of the largest possible{shift}"
        )
    if "unlike" in result:
        unlike = result["unlike"]
        found = counted(len(unlike["images"]), "image")
        shown = ", ".join(unlike["images"][:10]) + (", ..." if len(unlike["images"]) > 10 else "")
        lines.append(f"{found} unlike those of the earlier one: {shown}")
    return lines
