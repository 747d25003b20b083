"""`dualseg crf-search`"""

from collections.abc import Iterator
from typing import TYPE_CHECKING, Annotated

import typer

from dualseg.cli.console import counting, percent, print_json, print_table, say
from dualseg.cli.options import Data, Device, Json, Model, Precision, Threads
from dualseg.cli.protocol_options import CrfSet
from dualseg.core.errors import InputError
from dualseg.core.words import counted

if TYPE_CHECKING:
    from dualseg.data.dataset import SegmentationDataset
    from dualseg.inference.crf.search import CrfScore, Sample
    from dualseg.inference.strategies import LogitsFunction

EXAMPLE = "Example: dualseg crf-search runs/camvid --images 20 --bi-xy-std 30,60 --bi-rgb-std 3,6"
SHOWN = 10


def crf_search(
    model: Model,
    data: Data = None,
    split: Annotated[
        str | None, typer.Option("--split", help="Part of the data set; the validation split.")
    ] = None,
    images: Annotated[
        int, typer.Option("--images", min=1, help="So many, spread evenly over the split.")
    ] = 100,
    bi_w: Annotated[str, typer.Option("--bi-w", metavar="A,B,...", help="To try.")] = "3,4,5,6",
    bi_xy_std: Annotated[
        str, typer.Option("--bi-xy-std", metavar="A,B,...", help="To try.")
    ] = "30,40,50,60,70,80,90,100",
    bi_rgb_std: Annotated[
        str, typer.Option("--bi-rgb-std", metavar="A,B,...", help="To try.")
    ] = "3,4,5,6",
    crf_set: CrfSet = None,
    device: Device = "auto",
    threads: Threads = None,
    precision: Precision = "fp32",
    json: Json = False,
) -> None:
    """Try settings of the CRF on validation images; all combinations are scored by mIoU.

    The best of many settings looks better on the images it was chosen by than on others. The
    default grid, DeepLab's, has 128 combinations; a first round with fewer is quick.
    """
    import torch

    from dualseg.checkpoints.model_files import load_model
    from dualseg.cli.recipes import open_evaluation_data
    from dualseg.inference.crf.search import crf_grid, search_crf
    from dualseg.inference.crf.settings import CrfSettings
    from dualseg.inference.predictor import Predictor
    from dualseg.metrics.confusion import confusion_matrix
    from dualseg.metrics.scores import scores_from_confusion
    from dualseg.training.environment import choose_device

    grid = crf_grid(
        CrfSettings().changed(crf_set or []),
        bi_w=_numbers("--bi-w", bi_w),
        bi_xy_std=_numbers("--bi-xy-std", bi_xy_std),
        bi_rgb_std=_numbers("--bi-rgb-std", bi_rgb_std),
    )
    if threads is not None:
        torch.set_num_threads(threads)
    predictor = Predictor(
        load_model(model),
        device=choose_device(device),
        precision=precision,  # type: ignore[arg-type]  (checked there)
    )
    labels = predictor.facts.labels
    dataset = open_evaluation_data(model, data, split, labels)
    if dataset.labels.num_classes != labels.num_classes:
        raise InputError(
            f"the network predicts {labels.num_classes} classes, the data set has "
            f"{dataset.labels.num_classes}; search on data with the network's classes"
        )
    count = min(images, len(dataset))
    chosen = [len(dataset) * number // count for number in range(count)]
    with counting("searching") as progress:
        found = search_crf(
            _samples(predictor.logits, dataset, chosen),
            grid,
            count=lambda target, preds: confusion_matrix(
                target, preds, labels.num_classes, ignore_index=dataset.labels.ignore_index
            ),
            score=lambda confusion: scores_from_confusion(confusion).miou,
            progress=lambda done: progress(done, count),
        )
    _show(found, f"{counted(count, 'image')} of {dataset.split}", json)


def _samples(
    logits: "LogitsFunction", dataset: "SegmentationDataset", chosen: list[int]
) -> "Iterator[Sample]":
    from dualseg.core.image_spec import to_rgb
    from dualseg.inference.predictor import batch_of_one

    for index in chosen:
        pixels = dataset.image(index)
        probabilities = logits(batch_of_one(pixels))[0].softmax(dim=0).cpu().numpy()
        yield probabilities, to_rgb(pixels), dataset.label_map(index)


def _show(found: "list[CrfScore]", what: str, json: bool) -> None:
    rows = [
        {"miou": one.score, "crf": one.settings.to_dict() if one.settings else None}
        for one in found
    ]
    if json:
        print_json({"images": what, "rows": rows})
        return
    shown = [row for number, row in enumerate(rows) if number < SHOWN or row["crf"] is None]
    print_table(
        f"CRF settings by mIoU on {what}",
        ["settings", "mIoU"],
        [[_words(row["crf"]), percent(row["miou"])] for row in shown],
    )
    best = found[0].settings
    if best is None:
        say("no choice is better than no CRF")
        return
    options = " ".join(f"--crf-set {name}={value:g}" for name, value in best.to_dict().items())
    print(f"best: --crf {options}")


def _words(settings: dict[str, float] | None) -> str:
    if settings is None:
        return "no CRF"
    return " ".join(f"{name}={value:g}" for name, value in settings.items())


def _numbers(option: str, text: str) -> list[float]:
    try:
        return [float(part) for part in text.split(",")]
    except ValueError:
        raise InputError(
            f"{option} {text!r} are no numbers; give them with commas, such as 3,4.5,6"
        ) from None
