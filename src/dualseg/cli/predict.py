"""`dualseg predict`"""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from dualseg.cli.console import counting, print_json, say
from dualseg.cli.options import (
    Device,
    Json,
    ModelOrExported,
    Out,
    Precision,
    Runtime,
    Threads,
    read_size,
)
from dualseg.cli.protocol_options import Crf, CrfSet
from dualseg.core.errors import InputError

if TYPE_CHECKING:
    from dualseg.inference.files import PredictedFile
    from dualseg.inference.shares import Share

EXAMPLE = "Example: dualseg predict runs/camvid photo.jpg 'frames/*.png' folder/ --out predictions"


def predict(
    model: ModelOrExported,
    inputs: Annotated[
        list[str],
        typer.Argument(metavar="INPUT...", help="Image files, folders, patterns and videos."),
    ],
    out: Out,
    write: Annotated[
        str,
        typer.Option(
            "--write",
            metavar="A,B,...",
            help="labels, overlay, color, contour, confidence, side_by_side, geojson.",
        ),
    ] = "labels,overlay",
    resume: Annotated[
        bool, typer.Option("--resume", help="Pass over images whose files all stand in --out.")
    ] = False,
    crf: Crf = False,
    crf_set: CrfSet = None,
    tile: Annotated[
        str | None,
        typer.Option(
            "--tile",
            metavar="HxW",
            help="Predict in tiles of this size; large images are tiled without it too.",
        ),
    ] = None,
    overlap: Annotated[
        int | None,
        typer.Option(
            "--overlap", metavar="N", help="Pixels that tiles share; a fifth where not given."
        ),
    ] = None,
    device: Device = "auto",
    threads: Threads = None,
    precision: Precision = "fp32",
    runtime: Runtime = None,
    json: Json = False,
) -> None:
    """Write NAME_labels.png (class ids with palette) and NAME_overlay.png for every image.

    A TIFF above 67 million pixels is read by windows and becomes NAME_labels.tif, with its
    georeference. A video becomes the folder NAME_labels and NAME_overlay.mp4. Under torchrun the
    inputs are shared out.
    """
    import torch

    from dualseg.export.loading import load_model
    from dualseg.inference.crf.settings import CrfSettings
    from dualseg.inference.files import PredictOptions, predict_files, predict_share
    from dualseg.inference.predictor import Predictor
    from dualseg.inference.shares import share_of_environment

    if crf_set and not crf:
        raise InputError("--crf-set changes the CRF, which is off; give --crf too")
    share = share_of_environment()
    options = PredictOptions(
        write=write.split(","),
        crf=CrfSettings().changed(crf_set or []) if crf else None,
        tile=read_size("--tile", tile),
        overlap=overlap,
        resume=resume,
        share=share,
    )
    if threads is not None:
        torch.set_num_threads(threads)
    predictor = Predictor(
        load_model(model, runtime=runtime),
        device=_device(device, share),
        precision=precision,  # type: ignore[arg-type]  (checked there)
    )
    run = predict_files if share.world == 1 else predict_share
    with counting("predicting") as progress:
        done = run(predictor, inputs, out, options=options, progress=progress)
    _tell(done, out, share, json)


def _tell(done: "list[PredictedFile]", out: Path, share: "Share", json: bool) -> None:
    from dualseg.inference.files import failure_line

    problems = [item.problem for item in done if item.problem]
    if problems:  # one of many: ending with a failure would end the others too
        say("error: " + str(InputError(failure_line(done, out), problems)))
    num_skipped = sum(item.was_there for item in done)
    whose = f" by process {share.rank} of {share.world}" if share.world > 1 else ""
    if json:
        files = [
            {"image": str(item.image), **{kind: str(path) for kind, path in item.files.items()}}
            for item in done
            if item.files
        ]
        counts = {"num_images": len(files), "num_skipped": num_skipped}
        print_json({"out": str(out), **counts, "failures": problems, "files": files})
        return
    num_new = len(done) - num_skipped - len(problems)
    say(f"{num_new} images predicted{whose}" + f", {num_skipped} were there" * bool(num_skipped))
    print(out)


def _device(name: str, share: "Share") -> str:
    """Each process of a machine takes its own GPU."""
    from dualseg.training.environment import choose_device

    device = choose_device(name)
    if share.world > 1 and str(device) == "cuda":
        return str(choose_device(f"cuda:{share.local_rank}"))
    return str(device)
