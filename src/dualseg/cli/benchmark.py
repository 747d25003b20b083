"""`dualseg benchmark`"""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from dualseg.cli.console import counting, print_json, print_table, say
from dualseg.cli.options import Json, Threads, read_size, require_file_name

if TYPE_CHECKING:
    from dualseg.core.facts import ModelFacts

EXAMPLE = "Example: dualseg benchmark runs/city --size 512x1024 --runtime eager --runtime openvino"
RUNTIMES = (
    "eager",
    "eager_bf16",
    "compiled",
    "compiled_bf16",
    "openvino",
    "openvino_fp32",
    "onnxruntime",
)
REWRITES = ("none", "plain", "measured")
DEFAULT_SIZE = (512, 1024)


def benchmark(
    models: Annotated[
        list[str],
        typer.Argument(
            metavar="MODEL...",
            help="A run folder, a checkpoint folder, a .safetensors file, an exported file, "
            "hf://OWNER/NAME, or a catalogue name.",
        ),
    ],
    size: Annotated[
        list[str] | None,
        typer.Option("--size", metavar="HxW", help="Image size; may be given several times."),
    ] = None,
    runtime: Annotated[
        list[str] | None,
        typer.Option(
            "--runtime",
            help=f"{', '.join(RUNTIMES)}; may be given several times. openvino computes in bf16 "
            "where the processor does, the others in fp32 unless their name says bf16.",
        ),
    ] = None,
    batch: Annotated[int, typer.Option("--batch", min=1, help="Images at once.")] = 1,
    repeats: Annotated[int, typer.Option("--repeats", min=1, help="Timed runs of each.")] = 11,
    host: Annotated[
        bool,
        typer.Option("--host", help="DSRL also against its host at once and twice its input."),
    ] = False,
    rewrites: Annotated[
        str,
        typer.Option(
            "--rewrites",
            help="Exact rewrites first: none, plain (batch norms folded, dead branches dropped), "
            "measured (and the forms that are faster here).",
        ),
    ] = "plain",
    num_classes: Annotated[
        int | None, typer.Option("--num-classes", min=2, help="Of a catalogue network.")
    ] = None,
    backbone: Annotated[
        str | None, typer.Option("--backbone", help="Of a catalogue network; else the paper's.")
    ] = None,
    output_stride: Annotated[
        int | None, typer.Option("--output-stride", help="Of a catalogue network.")
    ] = None,
    dsrl: Annotated[
        bool, typer.Option("--dsrl", help="A catalogue network with DSRL, its input halved.")
    ] = False,
    plot: Annotated[
        Path | None,
        typer.Option("--plot", help="SVG file for accuracy against latency of scored models."),
    ] = None,
    threads: Threads = None,
    json: Json = False,
) -> None:
    """Latency, throughput, peak memory, FLOPs and share of the roof, runtimes side by side.

    Each measurement is a process of its own; they run in turns. "Latency" is from uint8 images to
    label maps of their size, "network" from the network's input to its logits. The roof is what a
    large matrix product reaches here in the same precision, measured in turn with the rest.
    """
    from dualseg.core.errors import InputError, nearest

    names = list(dict.fromkeys(runtime or ["eager"]))
    for name in names:
        if name not in RUNTIMES:
            raise InputError(f"there is no runtime {name!r}; {nearest(name, RUNTIMES)}")
    if rewrites not in REWRITES:
        raise InputError(f"--rewrites {rewrites!r} is unknown; {nearest(rewrites, REWRITES)}")
    if plot is not None:
        require_file_name("--plot", plot, ".svg", kind="a plot ends in .svg")
    sizes = [read_size("--size", text) for text in size or []]
    options = {"backbone": backbone, "output_stride": output_stride, "num_classes": num_classes}
    entries = _told_apart(
        [entry for model in models for entry in _entries(model, options, dsrl, host, names)]
    )
    for runtime_name in names:
        _require(runtime_name)

    import torch

    common = {"batch": batch, "rewrites": rewrites, "threads": threads or torch.get_num_threads()}
    results: list[dict[str, Any]] = []
    with counting("benchmark") as progress:
        for wanted in sizes or [None]:
            results += _measure(entries, wanted, names, common, repeats, progress)
    if json:
        first = {key: results[0][key] for key in ("parameters", "gflops", "size", "runtimes")}
        print_json({**first, **common, "results": results})
    else:
        _print(results, batch)
    if plot is not None:  # last: what was measured is not lost with it
        _write_plot(plot, results)


def _require(runtime: str) -> None:
    """A missing package is told before anything is measured."""
    from dualseg.export.packages import need

    packages = {"openvino": ("openvino",), "onnxruntime": ("onnxruntime", "onnxscript")}
    for package in packages.get(runtime.removesuffix("_fp32"), ()):
        need(package, f"runtime {runtime}")


def _entries(
    model: str, options: dict[str, Any], dsrl: bool, host: bool, runtimes: list[str]
) -> list[dict[str, Any]]:
    """What to measure for one MODEL: itself, and its host at once and twice the input."""
    from dualseg.checkpoints.model_files import find_model, is_exported, read_facts
    from dualseg.core.errors import InputError, nearest
    from dualseg.models.catalog import create_model
    from dualseg.models.entries import ENTRIES

    if is_exported(model):
        return [_exported(model, options, dsrl, host, runtimes)]
    from_catalogue = model in ENTRIES and not Path(model).exists()
    described = dsrl or any(value is not None for value in options.values())
    if not from_catalogue and not Path(model).exists() and "/" not in model:
        raise InputError(
            f"there is no model {model!r}, as a file or by name; {nearest(model, ENTRIES)}"
        )
    if described and not from_catalogue:
        raise InputError(
            f"{model} says itself what it is; --num-classes, --backbone, --output-stride and "
            "--dsrl are for catalogue names"
        )
    if from_catalogue:
        import torch

        if options["num_classes"] is None:
            raise InputError(f"{model} is a catalogue name; give --num-classes with it")
        architecture = {"name": model, **options, "dsrl": dsrl}
        scale, training_size = (0.5 if dsrl else 1.0), None
        with torch.device("meta"):
            full = create_model(**architecture).architecture
        own = {"label": model + (" + DSRL" if dsrl else ""), "architecture": architecture}
    else:
        facts: ModelFacts = read_facts(find_model(model)[1])
        full, scale, training_size = (
            dict(facts.architecture),
            facts.input_scale,
            facts.training_size,
        )
        path = Path(model)  # of a folder, what follows a dot is no suffix: runs/lr0.1
        label = path.stem if path.suffix == ".safetensors" else path.absolute().name
        own = {"label": label, "architecture": None}
    own |= {"model": model, "scale": scale, "default_size": training_size or DEFAULT_SIZE}
    if not host:
        return [own]
    if not full.get("dsrl"):
        raise InputError(f"--host compares DSRL with its host, and {model} is no DSRL network")
    without = {**full, "dsrl": False, "pretrained": False, "auxiliary": False}
    hosts = [
        {**own, "label": f"host at {times}x input", "architecture": without, "scale": scale * times}
        for times in (1, 2)
    ]
    return [own, *hosts]


def _told_apart(entries: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """Rows that would have one name say of which MODEL they are."""
    labels = [entry["label"] for entry in entries]
    return [
        {**entry, "label": f"{entry['label']} ({entry['model']})"}
        if labels.count(entry["label"]) > 1
        else entry
        for entry in entries
    ]


def _exported(
    model: str, options: dict[str, Any], dsrl: bool, host: bool, runtimes: list[str]
) -> dict[str, Any]:
    """What to measure for an exported file: itself, in runtimes that open it."""
    from dualseg.core.errors import InputError
    from dualseg.export.loading import open_file

    if dsrl or host or any(value is not None for value in options.values()):
        raise InputError(
            f"{model} is an exported file; --num-classes, --backbone, --output-stride, --dsrl and "
            "--host are for networks"
        )
    opened = open_file(Path(model))
    for runtime in runtimes:
        if runtime not in opened.able:
            able = " or ".join(opened.able)
            raise InputError(f"{runtime} cannot run {model}; give --runtime {able}")
    size = opened.note.size or opened.facts.training_size or DEFAULT_SIZE
    names = {"label": Path(model).name, "model": model}
    return {**names, "architecture": None, "scale": opened.facts.input_scale, "default_size": size}


def _measure(
    entries: list[dict[str, Any]],
    size: tuple[int, int] | None,
    runtimes: list[str],
    common: dict[str, Any],
    repeats: int,
    progress: Any,
) -> list[dict[str, Any]]:
    """All entries in all runtimes at one size, in turns, with the roof among them."""
    from dualseg.cli.benchmark_turns import measure_in_turns
    from dualseg.evaluation.benchmark import Run, RuntimeFigures

    sized = [{**entry, "size": list(size or entry["default_size"])} for entry in entries]
    specs = [{"runtime": "roof", **common}]
    specs += [{**entry, **common, "runtime": name} for entry in sized for name in runtimes]
    (_, roof_runs), *measured = measure_in_turns(specs, repeats=repeats, progress=progress)
    roofs = {name: max(run[name] for run in roof_runs) for name in ("fp32", "bf16")}
    results = []
    for entry in sized:
        figures, ready = {}, {}
        for name in runtimes:
            ready, runs = measured.pop(0)
            own = RuntimeFigures(
                tuple(Run(run["prepare"], run["network"], run["tail"]) for run in runs),
                common["batch"],
                max(run["peak_memory_mib"] for run in runs),
                ready["precision"],
            )
            figures[name] = own.to_dict(gflops=ready["gflops"], roofs=roofs)
        results.append(
            {
                "name": entry["label"],
                **{key: ready[key] for key in ("parameters", "gflops", "input_size", "score")},
                "size": entry["size"],
                "roof_gflops_per_second": roofs,
                "runtimes": figures,
            }
        )
    return results


def _write_plot(path: Path, results: list[dict[str, Any]]) -> None:
    from dualseg.core.files import write_text
    from dualseg.evaluation.benchmark_plot import Measured, accuracy_against_latency

    points = [
        Measured(_point_name(result, name, results), figures["latency_ms_median"], result["score"])
        for result in results
        if result["score"] is not None
        for name, figures in result["runtimes"].items()
    ]
    if not points:
        say("note: none of the models carries a score; no plot was written")
        return
    write_text(path, accuracy_against_latency(points))
    say(f"accuracy against latency: {path}")
    if len(_sizes(results)) > 1:
        say("note: each score is that of the model's own training, also where the size is another")


def _point_name(result: dict[str, Any], runtime: str, results: list[dict[str, Any]]) -> str:
    """Of the model and runtime, and the size where there are several."""
    size = ", {}x{}".format(*result["size"]) if len(_sizes(results)) > 1 else ""
    return f"{result['name']}, {runtime}{size}"


def _sizes(results: list[dict[str, Any]]) -> set[tuple[int, ...]]:
    return {tuple(result["size"]) for result in results}


def _print(results: list[dict[str, Any]], batch: int) -> None:
    header = ["model", "image", "runtime", "precision", "latency ms", "p95", "network ms"]
    header += ["tail ms", "images/s", "peak MiB", "GFLOPs", "parameters", "of roof"]
    rows = [
        [
            result["name"],
            "{}x{}".format(*result["size"]),
            name,
            own["precision"],
            f"{own['latency_ms_median']:.1f}",
            f"{own['latency_ms_p95']:.1f}",
            f"{own['network_ms_median']:.1f}",
            f"{own['tail_ms_median']:.1f}",
            f"{own['images_per_second']:.2f}",
            f"{own['peak_memory_mib']:.0f}",
            f"{result['gflops']:.1f}",
            f"{result['parameters'] / 1e6:.1f} M",
            "-" if own["share_of_roof"] is None else f"{100 * own['share_of_roof']:.0f} %",
        ]
        for result in results
        for name, own in result["runtimes"].items()
    ]
    roofs = results[0]["roof_gflops_per_second"]
    title = (
        f"Batch {batch}, in turns, a process each; a matrix product reached "
        f"{roofs['fp32']:.0f} GFLOP/s in fp32 and {roofs['bf16']:.0f} in bf16"
    )
    print_table(title, header, rows, width=160)
