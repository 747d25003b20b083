"""`dualseg predict`"""

from typing import Annotated

import typer

from dualseg.cli.console import counting, print_json, say
from dualseg.cli.options import Device, Json, Model, Out, Precision, Threads

EXAMPLE = "Example: dualseg predict runs/camvid photo.jpg 'frames/*.png' folder/ --out predictions"


def predict(
    model: Model,
    inputs: Annotated[
        list[str], typer.Argument(metavar="INPUT...", help="Image files, folders and patterns.")
    ],
    out: Out,
    device: Device = "auto",
    threads: Threads = None,
    precision: Precision = "fp32",
    json: Json = False,
) -> None:
    """Write NAME_labels.png (class ids with palette) and NAME_overlay.png for every image."""
    import torch

    from dualseg.checkpoints.model_files import load_model
    from dualseg.inference.files import predict_files
    from dualseg.inference.predictor import Predictor
    from dualseg.training.environment import choose_device

    if threads is not None:
        torch.set_num_threads(threads)
    predictor = Predictor(
        load_model(model),
        device=choose_device(device),
        precision=precision,  # type: ignore[arg-type]  (checked there)
    )
    with counting("predicting") as progress:
        done = predict_files(predictor, inputs, out, progress=progress)
    if json:
        files = [{k: str(v) for k, v in vars(item).items()} for item in done]
        print_json({"out": str(out), "num_images": len(done), "files": files})
    else:
        say(f"{len(done)} images predicted")
        print(out)
