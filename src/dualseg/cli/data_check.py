"""`dualseg data check`: every fault of a data set, before training."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from dualseg.cli.console import counting, percent, print_json, print_table, say
from dualseg.cli.data_options import DataSource
from dualseg.cli.options import AllowMissing, Json, require_file_name
from dualseg.core.errors import InputError
from dualseg.core.words import counted

if TYPE_CHECKING:
    from dualseg.data.catalog import Splits
    from dualseg.data.checking.checker import DatasetSummary
    from dualseg.data.faults import Fault

WRONG_DATA = 2


def check(
    source: DataSource,
    out: Annotated[
        Path | None, typer.Option("--out", help="Write every fault and warning, NAME.json.")
    ] = None,
    ignored: Annotated[
        float, typer.Option("--ignored", min=0, max=1, help="Warn above this share of ignored.")
    ] = 0.5,
    no_cache: Annotated[
        bool, typer.Option("--no-cache", help="Decode also what has not changed since last time.")
    ] = False,
    allow_missing: AllowMissing = False,
    json: Json = False,
) -> None:
    """Find every fault of images and labels before training: file, value, pixels, what to do."""
    from dualseg.cli.recipes import find_data
    from dualseg.config import DataSettings
    from dualseg.core.files import write_json
    from dualseg.data.catalog import open_splits
    from dualseg.data.checking.check_warnings import duplicate_warnings
    from dualseg.data.checking.checker import check_dataset
    from dualseg.data.faults import DatasetError

    if out is not None:
        require_file_name("--out", out, ".json", kind="the report is JSON")
    name, root = find_data(source, before="folder")
    faults: list[Fault] = []
    warnings: list[Fault] = []
    summaries: dict[str, DatasetSummary] = {}
    names: tuple[str, ...] = ()
    settings = DataSettings(name=name, root=root, cache="none", allow_missing=allow_missing)
    try:
        with counting("looking at the data") as progress:
            splits = open_splits(settings, test=True, progress=progress)
    except InputError as error:
        faults += _opening_faults(error, source)
    else:
        names = splits.train.labels.class_names
        _tell_notes(splits)
        datasets = [splits.train, splits.val, *([] if splits.test is None else [splits.test])]
        for dataset in datasets:
            with counting(f"checking {dataset.split}") as progress:
                try:
                    summary = check_dataset(
                        dataset, progress=progress, use_records=not no_cache, much_ignored=ignored
                    )
                except DatasetError as error:
                    faults += error.faults
                else:
                    summaries[dataset.split] = summary
                    warnings += summary.warnings
        warnings += duplicate_warnings(*datasets)
    report = _report(faults, warnings, summaries, names)
    if out is not None:
        write_json(out, report)
    if json:
        print_json(report)
    else:
        _print_tables(summaries, names)
        for warning in warnings:
            say(f"warning: {warning}")
        if not faults:
            _tell_all_is_well(summaries, len(warnings))
    if faults and not json:
        rest = f" (all of them in {out})" if out else "; --out report.json lists all of them"
        raise DatasetError(f"{source} has {counted(len(faults), 'fault')}{rest}:", faults)
    if faults:
        raise typer.Exit(WRONG_DATA)


def _opening_faults(error: InputError, source: str) -> "list[Fault]":
    """What hinders the opening, one fault a line: folders, pairs, values of all masks together."""
    from dualseg.data.faults import DatasetError, Fault, PictureError

    if isinstance(error, PictureError):
        return [error.fault]
    if isinstance(error, DatasetError):
        return list(error.faults)
    if not error.problems:
        found = str(error).removeprefix(f"{source} ")
        return [Fault("E100", source, found, "", "correct the folder")]
    headline = error.headline.rstrip(":")
    return [Fault("E100", f"{source}:", line, "", headline) for line in error.problems]


def _tell_notes(splits: "Splits") -> None:
    from dualseg.data.faults import printable

    for note in splits.notes:
        say(printable(note))


def _tell_all_is_well(summaries: "dict[str, DatasetSummary]", num_warnings: int) -> None:
    """Silence could be taken for a check that ended early."""
    images = counted(sum(summary.num_images for summary in summaries.values()), "image")
    told = f", {counted(num_warnings, 'warning')} to read above" if num_warnings else ""
    say(f"no fault found in {images} and their labels{told}")


def _report(
    faults: "list[Fault]",
    warnings: "list[Fault]",
    summaries: "dict[str, DatasetSummary]",
    names: tuple[str, ...],
) -> dict[str, Any]:
    return {
        "ok": not faults,
        "faults": [fault.to_dict() for fault in faults],
        "warnings": [warning.to_dict() for warning in warnings],
    } | {
        split: {
            "num_images": summary.num_images,
            "pixels_per_class": dict(zip(names, summary.pixels_per_class, strict=True)),
            "ignored_share": summary.ignored_share,
            "num_all_ignored": summary.num_all_ignored,
            "sizes": {f"{h}x{w}": count for (h, w), count in summary.sizes.items()},
            "modes": summary.kinds,
        }
        for split, summary in summaries.items()
    }


def _print_tables(summaries: "dict[str, DatasetSummary]", names: tuple[str, ...]) -> None:
    for split, summary in summaries.items():
        total = max(1, sum(summary.pixels_per_class))
        rows = [
            [name, f"{pixels:,}", percent(pixels / total)]
            for name, pixels in zip(names, summary.pixels_per_class, strict=True)
        ]
        images = counted(summary.num_images, "image")
        title = f"{split}: {images}, ignored {percent(summary.ignored_share)}"
        print_table(title, ["class", "pixels", "share"], rows)
