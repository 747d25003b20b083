"""`dualseg export`"""

from collections.abc import Callable, Iterable
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from dualseg.cli.console import print_json, say, steps
from dualseg.cli.options import Data, Json, Model, Threads, read_size
from dualseg.core.errors import InputError, nearest

if TYPE_CHECKING:
    from torch import nn

    from dualseg.core.facts import ModelFacts
    from dualseg.data.dataset import SegmentationDataset
    from dualseg.export.parity import Parity
    from dualseg.models.segmentation import SegmentationModel

EXAMPLE = "Example: dualseg export runs/camvid --format openvino --precision bf16 --out camvid.xml"
REWRITES = ("none", "plain", "measured")
DEFAULT_SIZE = (512, 1024)


def export(
    model: Model,
    out: Annotated[
        Path, typer.Option("--out", metavar="FILE", help="A new .onnx, .xml or .pt2 file.")
    ],
    format: Annotated[
        str, typer.Option("--format", help="onnx, openvino (.xml and .bin) or torch (.pt2).")
    ],
    precision: Annotated[
        str,
        typer.Option("--precision", help="fp32, bf16 (openvino, torch) or int8 (onnx, openvino)."),
    ] = "fp32",
    calibrate: Annotated[
        Path | None,
        typer.Option("--calibrate", metavar="DIR", help="Folder of images that int8 needs."),
    ] = None,
    size: Annotated[
        str | None,
        typer.Option("--size", metavar="HxW", help="For images of this size alone; else of any."),
    ] = None,
    data: Data = None,
    split: Annotated[
        str | None, typer.Option("--split", help="Part of --data; the validation split.")
    ] = None,
    label_map: Annotated[
        bool,
        typer.Option(
            "--label-map/--no-label-map", help="The file gives label maps beside the logits."
        ),
    ] = True,
    rewrites: Annotated[
        str,
        typer.Option(
            "--rewrites",
            help="none, plain (batch norms folded, dead branches dropped) or, for openvino, "
            "measured (also the forms of layers that are faster here, at --size or the training "
            "size).",
        ),
    ] = "plain",
    threads: Threads = None,
    json: Json = False,
) -> None:
    """Write the inference network as a file of another runtime.

    The file takes images as they are read (bytes, any size) and gives label maps. It is kept only
    if it answers as the network does: on images with labels where --data or the run has some, else
    on drawn ones.
    """
    fixed = read_size("--size", size)
    if rewrites not in REWRITES:
        raise InputError(f"--rewrites {rewrites!r} is unknown; {nearest(rewrites, REWRITES)}")

    import torch

    from dualseg.checkpoints.model_files import load_model
    from dualseg.export.write import export_model, require_possible
    from dualseg.inference.strategies import find_facts
    from dualseg.models.segmentation import SegmentationModel

    require_possible(format, precision, out, is_calibrated=calibrate is not None)
    if threads is not None:
        torch.set_num_threads(threads)
    with steps() as progress:
        progress(f"reading {model}", 0, None)
        network = load_model(model)
        if not isinstance(network, SegmentationModel):
            raise InputError(f"{model} is an exported file; export the network it was made of")
        facts = find_facts(network, None)
        parity = export_model(
            network,
            out,
            format_name=format,  # type: ignore[arg-type]  (checked)
            precision=precision,  # type: ignore[arg-type]  (checked)
            size=fixed,
            with_label_map=label_map,
            calibration=_calibration(calibrate, facts),
            labelled=_labelled(model, data, split, facts),
            rewrite=_rewrite(rewrites, format, fixed, facts),
            progress=progress,
        )
    _tell(out, format, precision, parity, json)


def _calibration(folder: Path | None, facts: "ModelFacts") -> Callable[[], Iterable[Any]] | None:
    """Images of a folder, and of its folder `images` where it has one."""
    if folder is None:
        return None
    from dualseg.export.samples import images_of_files
    from dualseg.inference.inputs import find_images

    if not folder.is_dir():
        raise InputError(f"--calibrate {folder}: there is no such folder")
    paths = find_images([folder / "images" if (folder / "images").is_dir() else folder])
    return lambda: images_of_files(paths, facts)


def _labelled(
    model: str, data: str | None, split: str | None, facts: "ModelFacts"
) -> "SegmentationDataset | None":
    """What --data says, or the data of the run, as far as it is still there."""
    from dualseg.checkpoints.model_files import read_run_config
    from dualseg.cli.recipes import open_evaluation_data

    if data is None and (split is not None or read_run_config(model) is None):
        if split is not None:
            raise InputError("--split is a part of --data; give that too")
        return None
    try:
        return open_evaluation_data(model, data, split, facts.labels)
    except InputError as error:
        if data is not None:
            raise
        say(f"note: compared on drawn images, since the data of the run is not there: {error}")
        return None


def _rewrite(
    rewrites: str, format: str, size: tuple[int, int] | None, facts: "ModelFacts"
) -> "Callable[[SegmentationModel], nn.Module]":
    from dualseg.core.geometry import scaled_size
    from dualseg.export.rewrites.optimize import optimize
    from dualseg.export.rewrites.pooling import make_pooling_exportable
    from dualseg.export.write import plain_rewrites

    if rewrites == "none":
        return make_pooling_exportable
    if rewrites == "plain":
        return plain_rewrites
    if format != "openvino":
        raise InputError(
            f"--rewrites measured is for --format openvino, where layers can be timed; {format} "
            "takes plain"
        )
    wanted = scaled_size(size or facts.training_size or DEFAULT_SIZE, facts.input_scale)
    return lambda model: optimize(model, size=wanted, runtime="openvino").model


def _tell(out: Path, format: str, precision: str, parity: "Parity", json: bool) -> None:
    files = [out, out.with_suffix(".bin")] if out.suffix == ".xml" else [out]
    if json:
        print_json(
            {
                "file": str(out),
                "files": [str(file) for file in files],
                "bytes": sum(file.stat().st_size for file in files),
                "format": format,
                "precision": precision,
                "parity": parity.to_dict(),
            }
        )
        return
    say(
        f"logits differ by {parity.relative:.1e} of the largest, "
        f"{100 * parity.agreement:.3f} % of pixels have the same class "
        f"({parity.num_images} images of {' and '.join(f'{h}x{w}' for h, w in parity.sizes)})"
    )
    if parity.miou_network is not None and parity.miou_file is not None:
        say(
            f"mIoU {100 * parity.miou_network:.2f} % -> {100 * parity.miou_file:.2f} % "
            f"on {parity.num_labelled} images with labels"
        )
    elif precision != "fp32":
        say("note: labels are the real gate: labelled images by --data compare the mIoU too")
    print(out)
