"""`dualseg data stats` and `dualseg data show`: a data set in numbers and in pictures."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from dualseg.cli.console import counting, percent, print_json, print_table, say
from dualseg.cli.data_options import DataSource
from dualseg.cli.options import Json, require_file_name
from dualseg.core.errors import InputError, nearest
from dualseg.core.words import counted

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

MAX_SAMPLES = 64


def stats(
    source: DataSource,
    out: Annotated[
        Path | None, typer.Option("--out", help="Write a page to look at, NAME.html.")
    ] = None,
    weights: Annotated[
        str | None,
        typer.Option("--weights", help="Class weights: median_frequency, inverse_log, cityscapes."),
    ] = None,
    json: Json = False,
) -> None:
    """Count classes, colours and sizes of both splits."""
    from dualseg.cli.recipes import find_data
    from dualseg.config import DataSettings
    from dualseg.core.files import write_text
    from dualseg.data.catalog import open_splits
    from dualseg.data.faults import printable
    from dualseg.data.labels.class_weights import CLASS_WEIGHT_RULES, class_weights
    from dualseg.data.labels.statistics import (
        dataset_statistics,
        describe_sizes,
        inverse_log_weights,
        median_frequency_weights,
    )
    from dualseg.visual.data_page import data_page

    if out is not None:
        require_file_name("--out", out, ".html", ".htm", kind="the page is HTML")
    if weights is not None and weights not in CLASS_WEIGHT_RULES:
        raise InputError(f"--weights {weights}: {nearest(weights, CLASS_WEIGHT_RULES)}")
    name, root = find_data(source, before="folder")
    with counting("looking at the data") as progress:
        splits = open_splits(DataSettings(name=name, root=root, cache="none"), progress=progress)
    for note in splits.notes:
        say(printable(note))
    found = {}
    for dataset in (splits.train, splits.val):
        with counting(f"counting {dataset.split}") as progress:
            found[dataset.split] = dataset_statistics(dataset, progress=progress)
    labels = splits.train.labels
    chosen = (
        ()
        if weights is None
        else class_weights(found[splits.train.split].pixels_per_class, weights)
    )
    if out is not None:
        write_text(out, data_page(Path(source).resolve().name, labels, found, splits.notes))
    if json:
        print_json(
            {
                split: {
                    "num_images": s.num_images,
                    "sizes": {f"{h}x{w}": count for (h, w), count in s.sizes.items()},
                    "pixels_per_class": dict(
                        zip(labels.class_names, s.pixels_per_class, strict=True)
                    ),
                    "images_per_class": dict(
                        zip(labels.class_names, s.images_per_class, strict=True)
                    ),
                    "ignored_pixels": s.ignored_pixels,
                    "mean": list(s.mean),
                    "std": list(s.std),
                    "inverse_log_weights": list(inverse_log_weights(s)),
                    "median_frequency_weights": list(median_frequency_weights(s)),
                }
                for split, s in found.items()
            }
            | ({"weights": list(chosen)} if weights is not None else {})
        )
        return
    for split, s in found.items():
        total = max(1, sum(s.pixels_per_class))
        rows = [
            [class_name, percent(pixels / total), f"{images}", f"{weight:.4g}", f"{median:.4g}"]
            for class_name, pixels, images, weight, median in zip(
                labels.class_names,
                s.pixels_per_class,
                s.images_per_class,
                inverse_log_weights(s),
                median_frequency_weights(s),
                strict=True,
            )
        ]
        everything = total + s.ignored_pixels
        images = counted(s.num_images, "image")
        ignored = percent(s.ignored_pixels / everything)
        title = f"{split}: {images} ({describe_sizes(s)}), {ignored} ignored"
        print_table(title, ["class", "pixels", "images", "1/ln weight", "median weight"], rows)
        mean, std = (" ".join(f"{v:.4f}" for v in values) for values in (s.mean, s.std))
        print(f"mean {mean}   std {std}   (0 to 1)\n")
    if weights is not None:
        print(f"{weights} weights of train, for --set:")
        print(f"loss.class_weights=[{', '.join(f'{weight:.6g}' for weight in chosen)}]")
    if out is not None:
        say(f"written: {out}")


def show(
    source: DataSource,
    out: Annotated[Path, typer.Option("--out", help="The picture, NAME.png.")],
    recipe: Annotated[
        str, typer.Option("--recipe", help="Whose augmentation: a packaged recipe or a file.")
    ] = "default",
    settings: Annotated[
        list[str] | None, typer.Option("--set", metavar="KEY=VALUE", help="Change the recipe.")
    ] = None,
    number: Annotated[
        int, typer.Option("--number", help=f"How many samples, 1 to {MAX_SAMPLES}.")
    ] = 12,
    columns: Annotated[int, typer.Option("--columns", help="Samples in a row, 1 or more.")] = 3,
    json: Json = False,
) -> None:
    """Draw what training would see: augmented crops, alone and under their labels."""
    from dualseg.cli.recipes import read_recipe
    from dualseg.core.files import write_bytes
    from dualseg.data.catalog import open_splits
    from dualseg.data.loading.loaders import TrainLoader
    from dualseg.data.loading.sampling import rare_class_weights
    from dualseg.training.preflight import default_crop, fill_in_network
    from dualseg.visual.data_page import contact_sheet
    from dualseg.visual.pictures import encode_png

    require_file_name("--out", out, ".png", kind="the picture is a PNG")
    if not 1 <= number <= MAX_SAMPLES:
        raise InputError(f"--number {number}: draw 1 to {MAX_SAMPLES} samples")
    if columns < 1:
        raise InputError(f"--columns {columns}: at least one sample stands in a row")
    chosen = fill_in_network(read_recipe(recipe, source, settings))
    data = chosen.data.model_copy(update={"cache": "none"})
    with counting("looking at the data") as progress:
        splits = open_splits(data, progress=progress)
    for note in splits.notes:
        say(note)
    low, high = data.scale_range
    weights = None
    if data.sampling == "rare_classes":
        weights = rare_class_weights(splits.train, temperature=data.sampling_temperature)
    loader = TrainLoader(
        splits.train,
        crop_size=data.crop_size or default_crop(chosen, splits),
        scale_range=(low * data.base_scale, high * data.base_scale),
        flip=data.flip,
        photometric=data.photometric,
        batch_size=1,
        seed=chosen.seed,
        class_balance=data.class_balance,
        image_weights=weights,
    )
    batches = loader.batches(0)
    samples = [next(batches) for _ in range(number)]
    pairs = [
        (_as_rgb(s.image[0].permute(1, 2, 0).numpy()), s.label_map[0].numpy()) for s in samples
    ]
    sheet = contact_sheet(pairs, splits.train.labels, columns=columns)
    write_bytes(out, encode_png(sheet))
    if json:
        print_json({"out": str(out), "names": [s.names[0] for s in samples]})
    else:
        print(out)


def _as_rgb(image: "NDArray[Any]") -> "NDArray[np.uint8]":
    """The first three bands, or the first alone in gray."""
    import numpy as np

    bands = image[..., :3] if image.shape[2] >= 3 else np.repeat(image[..., :1], 3, axis=2)
    return np.clip(np.rint(bands), 0, 255).astype(np.uint8)
