"""A network becomes a file of a runtime, if the file answers as the network."""

import os
import tempfile
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from dualseg.core.errors import InputError, nearest
from dualseg.core.facts import ModelFacts
from dualseg.core.file_names import with_ending
from dualseg.core.files import TEMPORARY_MARK, sync_folder
from dualseg.core.geometry import Size, resize_logits, scaled_size
from dualseg.core.image_spec import Pixels
from dualseg.data.dataset import SegmentationDataset
from dualseg.evaluation.cropped import CenterCropped
from dualseg.export.formats import FORMATS, Format, FormatName, Plan
from dualseg.export.layers import first_difference, relative_difference
from dualseg.export.loading import load_exported
from dualseg.export.note import ExportNote
from dualseg.export.packages import need
from dualseg.export.parity import (
    MAX_RELATIVE,
    Parity,
    Progress,
    failures,
    measure_parity,
)
from dualseg.export.pieces import Preprocessing, exported_network, resizes_last
from dualseg.export.rewrites.batch_norms import fold_batch_norms
from dualseg.export.rewrites.dead_branches import drop_dead_branches
from dualseg.export.rewrites.pooling import make_pooling_exportable
from dualseg.export.samples import (
    GATE_SIZES,
    MAX_LABELLED,
    SomeImages,
    gate_images,
    made_up,
    network_inputs,
)
from dualseg.export.sessions import ExportPrecision
from dualseg.export.shipped import run_as_shipped
from dualseg.inference.strategies import find_facts, whole
from dualseg.models.segmentation import SegmentationModel

LARGEST_SIDE = 32_768


def plain_rewrites(model: SegmentationModel) -> torch.nn.Module:
    """Dead branches dropped, batch norms folded, pooling in a form every runtime takes."""
    return make_pooling_exportable(fold_batch_norms(drop_dead_branches(model)))


def export_model(
    model: SegmentationModel,
    out: Path,
    *,
    format_name: FormatName,
    precision: ExportPrecision = "fp32",
    size: Size | None = None,
    with_label_map: bool = True,
    calibration: Callable[[], Iterable[Pixels]] | None = None,
    labelled: SegmentationDataset | None = None,
    rewrite: Callable[[SegmentationModel], torch.nn.Module] = plain_rewrites,
    gate_sizes: Sequence[Size] = GATE_SIZES,
    progress: Progress = lambda step, done, total: None,
) -> Parity:
    """Writes `out` if it passes the gate; otherwise nothing is left.

    Args:
        model: With facts, as `load_model` gives it.
        out: A new file with the format's suffix.
        format_name: "onnx" (.onnx), "openvino" (.xml and .bin) or "torch" (.pt2).
        precision: In which the file computes.
        size: (height, width) of the images where the file shall take no others.
        with_label_map: The file also gives label maps, for programs that use it alone.
        calibration: Images that int8 needs; they also serve to compare.
        labelled: Both are scored on images of it.
        rewrite: Model -> model with the same answers; does not touch the one it is given.
        gate_sizes: Of the network's input, where `size` is None.
        progress: Told of each step.

    Returns:
        What the gate measured.

    Raises:
        InputError: Wrong arguments, a package is missing, the network cannot be exported, or the
            file does not pass; then the first layer that differs is named.
    """
    require_possible(format_name, precision, out, is_calibrated=calibration is not None)
    form = FORMATS[format_name]
    _require_size(size)
    facts = find_facts(model, None)
    _require_traceable(model, size)
    sample = _sample(labelled, size)
    model = model.eval()
    progress("rewriting the network", 0, None)
    # A .pt2 file is read by its weights, which keep their names.
    rewritten = make_pooling_exportable(model) if format_name == "torch" else rewrite(model)
    assert isinstance(rewritten, SegmentationModel)
    plan = Plan(
        network=exported_network(rewritten, facts, size),
        model=model,
        facts=facts,
        precision=precision,
        size=size,
        with_label_map=with_label_map,
        calibration=_inputs(calibration, facts, size) if precision == "int8" else (),
    )
    pixels = iter(calibration()) if calibration else _pixels(labelled, facts)
    sizes = [scaled_size(size, facts.input_scale)] if size else gate_sizes
    images = gate_images(facts, pixels, sizes=sizes)
    if size:
        images = [torch.nn.functional.interpolate(i.float(), size).to(i.dtype) for i in images]
    note = ExportNote(
        precision=precision,
        size=size,
        final_logits=not resizes_last(model, facts, size),
        has_label_map=with_label_map,
        parity={},
        smallest=1 if size else max(getattr(part, "smallest", 1) for part in model.modules()),
    )
    with _scratch(out) as folder:
        draft = Path(folder) / out.name
        with _exporter_errors(format_name):
            progress("tracing" if precision != "int8" else "tracing and quantising", 0, None)
            graph = form.build(plan)
            progress(f"writing {out.name}", 0, None)
            form.write(graph, draft, facts, note)
        progress(f"opening {out.name}", 0, None)
        parity = measure_parity(
            whole(model, facts),
            load_exported(draft).logits,
            images,
            facts=facts,
            shipped=run_as_shipped(draft, precision),
            labelled=sample,
            progress=progress,
        )
        _require_parity(parity, plan, form, images, format_name, progress)
        progress(f"writing {out.name}", 0, None)
        for written in _pair(draft):  # the disk need not hold it twice
            written.unlink()
        with _exporter_errors(format_name):
            form.write(graph, draft, facts, replace(note, parity=parity.to_dict()))
        _publish(draft, out)
    return parity


def require_possible(name: str, precision: str, out: Path, *, is_calibrated: bool) -> None:
    """What can be known before a network is loaded.

    Raises:
        InputError: Format, precision and file do not go together, a package is missing, the file
            is there already or cannot be written.
    """
    if name not in FORMATS:
        raise InputError(f"format {name!r} is unknown; {nearest(name, FORMATS)}")
    form = FORMATS[name]
    if precision not in ("fp32", "bf16", "int8"):
        raise InputError(f"precision {precision!r} is unknown; allowed: fp32, bf16, int8")
    if precision not in form.precisions:
        able = [other for other, its in FORMATS.items() if precision in its.precisions]
        raise InputError(
            f"format {name} has no {precision}; it has {', '.join(form.precisions)}. "
            f"{precision} is there for {', '.join(able)}"
        )
    if out.suffix != form.suffix:
        raise InputError(
            f"--out is {out}; a file of format {name} ends in {form.suffix}; name it "
            f"{with_ending(out, form.suffix)}"
        )
    for path in _pair(out):
        if path.exists():
            raise InputError(f"{path} exists; choose another name or remove it")
    if precision == "int8" and not is_calibrated:
        raise InputError("--precision int8 needs images to be calibrated on: give --calibrate DIR")
    if precision != "int8" and is_calibrated:
        raise InputError("--calibrate is for --precision int8; leave it out")
    for package in form.packages if precision != "int8" else (*form.packages, "nncf"):
        need(package, f"--format {name}")
    with _scratch(out):
        pass


def _require_size(size: Size | None) -> None:
    if size is not None and not all(8 <= side <= LARGEST_SIDE for side in size):
        raise InputError(
            f"--size {size[0]}x{size[1]}: each side must lie between 8 and {LARGEST_SIDE}"
        )


def _require_traceable(model: torch.nn.Module, size: Size | None) -> None:
    """Layers that each reckon with the size: tracing many of them at free sizes does not end.

    timm's "same" convolutions pad by it (a single pooling of that kind, as in dilated ResNets, does
    no harm), window attention pads to whole windows and cuts the map into them.
    """
    if size is not None:
        return
    for does, reckons in (
        ('pad by the size of the image (timm\'s "same" padding)', _pads_by_size),
        ("cut their map into windows", _has_windows),
    ):
        layers = [name for name, part in model.named_modules() if reckons(part)]
        if layers:
            raise InputError(
                f"{layers[0]} and {len(layers) - 1} more layers {does}, which no format takes at "
                "free sizes; give --size HxW"
            )


def _pads_by_size(part: torch.nn.Module) -> bool:
    return type(part).__name__.endswith("Conv2dSame")


def _has_windows(part: torch.nn.Module) -> bool:
    """By the names that timm's Swin, Twins, MaxViT, TinyViT, SAM and others have for it."""
    return any(getattr(part, name, None) for name in ("window_size", "partition_size", "ws"))


def _inputs(
    calibration: Callable[[], Iterable[Pixels]] | None, facts: ModelFacts, size: Size | None
) -> list[Any]:
    assert calibration is not None
    return network_inputs(iter(calibration()), facts, size=size)


def _pixels(labelled: SegmentationDataset | None, facts: ModelFacts) -> Any:
    if labelled is None:
        return made_up(facts)
    return (labelled.image(index) for index in range(len(labelled)))


def _sample(labelled: SegmentationDataset | None, size: Size | None) -> SegmentationDataset | None:
    if labelled is None:
        return None
    some = SomeImages(labelled, MAX_LABELLED)
    sample = CenterCropped(some, size) if size else some
    _require_something_to_score(sample, len(labelled), size)
    return sample


def _require_something_to_score(sample: SegmentationDataset, of: int, size: Size | None) -> None:
    """Said before the work, and in words of the sample: the labels as a whole may be right."""
    ignored = sample.labels.ignore_index
    if any((sample.label_map(index) != ignored).any() for index in range(len(sample))):
        return
    part = f"the middle {size[0]}x{size[1]} (--size) of " if size else ""
    raise InputError(
        f"the file is scored on {part}{len(sample)} of the {of} images of {sample.split}, and "
        "every pixel there is ignored; score it on other images by --data or --split"
    )


@contextmanager
def _exporter_errors(name: str) -> Iterator[None]:
    """The exporters' own errors, which have no common class, as one."""
    try:
        yield
    except (InputError, MemoryError):
        raise
    except Exception as error:
        lines = [line for line in str(error).splitlines() if line.strip()]
        first = next((line for line in lines if "No conversion rule" in line), (lines or [""])[0])
        raise InputError(
            f"this network cannot be exported to {name}: {type(error).__name__}: {first[:300]}; "
            "where sizes are the reason, --size HxW may help, or another format"
        ) from error


def _require_parity(
    parity: Parity,
    plan: Plan,
    form: Format,
    images: list[torch.Tensor],
    name: str,
    progress: Progress,
) -> None:
    problems = failures(parity, plan.precision)
    if not problems:
        return
    progress("looking for the layer that differs", 0, None)
    with torch.no_grad():
        inputs = Preprocessing(plan.facts)(images[0]).numpy()
    where = _where_it_differs(plan, form, inputs)
    raise InputError(
        f"the {plan.precision} file of format {name} does not answer as the network; nothing is "
        "kept:",
        [*problems, where],
    )


def _where_it_differs(plan: Plan, form: Format, inputs: NDArray[np.float32]) -> str:
    with torch.no_grad():
        expected = plan.model(torch.from_numpy(inputs)).logits
        own = resize_logits(plan.network(torch.from_numpy(inputs)), tuple(expected.shape[-2:]))
    if relative_difference(expected.numpy(), own.numpy()) > MAX_RELATIVE:
        return "the rewrites changed the network's answers: --rewrites none leaves them out"
    try:
        found = first_difference(
            plan.network,
            inputs,
            lambda module, outputs: form.start(module, plan, outputs),
            plan.precision,
        )
    except Exception as error:  # of the exporter, on a network with an output for every layer
        return f"which layer differs cannot be said, since {type(error).__name__} came up"
    if found is None:
        return (
            "every layer agrees when it is given the same input, so the pre-processing differs, or "
            "small differences add up"
        )
    return (
        f"the first layer that differs is {found.name} (by {found.relative:.1e} of its largest "
        "value)"
    )


def _scratch(out: Path) -> tempfile.TemporaryDirectory[str]:
    try:
        return tempfile.TemporaryDirectory(
            prefix=f"{TEMPORARY_MARK}{os.getpid()}-", dir=out.absolute().parent
        )
    except OSError as error:
        raise InputError(f"cannot write {out}: {error.strerror or error}") from None


def _pair(path: Path) -> list[Path]:
    """The file itself last: where it stands, the pair is whole."""
    beside = {".xml": ".bin"}.get(path.suffix)
    return [path.with_suffix(beside), path] if beside else [path]


def _publish(draft: Path, out: Path) -> None:
    for made, final in zip(_pair(draft), _pair(out), strict=True):
        with open(made, "rb+") as file:
            os.fsync(file.fileno())
        os.replace(made, final)
    sync_folder(out.absolute().parent)
