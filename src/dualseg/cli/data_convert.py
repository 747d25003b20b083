"""`dualseg data convert`: a data set in another label format."""

from collections.abc import Callable, Sequence
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from dualseg.cli.console import counting, print_json, say
from dualseg.cli.data_options import DataSource
from dualseg.cli.options import Json
from dualseg.core.errors import InputError, nearest

if TYPE_CHECKING:
    from dualseg.data.dataset import SegmentationDataset

SHARDS = "shards"
USUAL_SPLITS = ("train", "val")


def convert(
    source: DataSource,
    to: Annotated[
        str,
        typer.Option(
            "--to", help="masks, colors, voc, coco, labelme, cvat, yolo, cityscapes or shards."
        ),
    ],
    out: Annotated[Path, typer.Option("--out", help="A new or empty folder, not the current one.")],
    split: Annotated[
        list[str] | None,
        typer.Option(
            "--split", help="May stand several times; train and val, and a folder's test, if not."
        ),
    ] = None,
    copy: Annotated[
        bool, typer.Option("--copy", help="Copy images; else they are hard-linked where possible.")
    ] = False,
    images_per_shard: Annotated[
        int, typer.Option("--images-per-shard", min=1, help="For shards.")
    ] = 1000,
    json: Json = False,
) -> None:
    """Write labels in another format, from which they are read back pixel for pixel.

    Image files stay as they are, byte for byte.
    """
    from dualseg.cli.recipes import find_data
    from dualseg.data.convert.convert import FORMATS, convert_dataset, require_new

    known = [*FORMATS, SHARDS]
    if to not in known:
        raise InputError(f"--to {to}: there is no such format; {nearest(to, known)}")
    require_new(out)
    name, root = find_data(source, before="folder")
    if root is not None and out.resolve().is_relative_to(root):
        raise InputError(f"--out {out} lies in {root}, which is only read; choose another place")
    datasets = _open(name, root, list(dict.fromkeys(split or ())))
    with counting(f"writing {to}") as progress:
        if to == SHARDS:
            _write_shards(datasets, out, images_per_shard, progress)
        else:
            convert_dataset(datasets, to, out, copy=copy, progress=progress)
    written = {dataset.split: len(dataset) for dataset in datasets}
    if json:
        print_json({"out": str(out), "format": to, "splits": written})
        return
    print(out)
    say(f"written: {', '.join(f'{count} {split}' for split, count in written.items())}")
    say(f"read it with: --data {_as_data(to, out)}")


def _open(name: str, root: str | None, wanted: Sequence[str]) -> "list[SegmentationDataset]":
    """The splits that are asked for, else train, val and the test split of a folder."""
    from dualseg.config import DataSettings
    from dualseg.data.catalog import open_dataset, open_splits
    from dualseg.data.faults import printable

    first, second = (*wanted, *wanted)[:2] if wanted else USUAL_SPLITS
    settings = DataSettings(name=name, root=root, cache="none", train_split=first, val_split=second)
    opened = open_splits(settings)
    for note in opened.notes:
        say(printable(note))
    datasets = [opened.train, *([opened.val] if first != second else [])]
    datasets += [open_dataset(name, root=root, split=split) for split in wanted[2:]]
    if not wanted and name == "folder":
        with suppress(InputError):  # the others opened, so there is no such split
            datasets.append(open_dataset(name, root=root, split="test"))
    return datasets


def _write_shards(
    datasets: "Sequence[SegmentationDataset]",
    out: Path,
    images_per_shard: int,
    progress: Callable[[int, int], None],
) -> None:
    from dualseg.core.files import new_folder
    from dualseg.data.shards.writer import write_shards

    with new_folder(out) as temporary:
        for dataset in datasets:
            write_shards(dataset, temporary, images_per_shard=images_per_shard, progress=progress)


def _as_data(to: str, out: Path) -> str:
    """What `--data` takes; two formats are known only by their name."""
    return f"{to}:{out}" if to == "cityscapes" else str(out)
