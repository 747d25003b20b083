"""Writes the table of docs/weights.md: what is proven equal to its original, and how exactly.

    python tests/reference/make_proof_table.py

Every golden file is translated by its importer, built and compared. torchvision's networks are
built beside ours, and segmentation_models_pytorch's where it is installed (the bench extra).
"""

import sys
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path
from tempfile import TemporaryDirectory
from types import ModuleType
from typing import Any, NamedTuple

import torch
from torch import Tensor, nn

sys.path.insert(0, str(Path(__file__).parents[1]))

from dualseg.checkpoints.foreign.checkpoint import ForeignCheckpoint
from dualseg.checkpoints.importers import mmsegmentation
from dualseg.checkpoints.importers.catalog import IMPORTERS, import_checkpoint
from dualseg.checkpoints.importers.translation import Translation
from dualseg.core.files import write_text
from reference.golden import Golden, Sample, difference, load_golden
from reference.original_weights import original_tensors
from reference.originals import GOLDEN, all_logits, build
from reference.random_weights import random_image, randomize

DOCUMENT = Path(__file__).parents[2] / "docs" / "weights.md"
START, END = "<!-- proofs: made by tests/reference/make_proof_table.py -->", "<!-- end -->"
NEGATIVE_SCALES = ("ccnet", "ocnet")  # in-place activated batch norm applies |w|
BGR = ("ccnet", "kazuto1011", "coincheung_bisenetv1_first")
SIZES = ((64, 96), (65, 97))
TORCHVISION = (
    "fcn_resnet50",
    "fcn_resnet101",
    "deeplabv3_resnet50",
    "deeplabv3_resnet101",
    "deeplabv3_mobilenet_v3_large",
    "lraspp_mobilenet_v3_large",
)
SMP = (
    ("DeepLabV3", "resnet18", {"encoder_output_stride": 16}),
    ("DeepLabV3", "resnet50", {"encoder_output_stride": 8}),
    ("DeepLabV3Plus", "resnet18", {"encoder_output_stride": 8}),
    ("DeepLabV3Plus", "resnet50", {"encoder_output_stride": 16}),
    ("PSPNet", "resnet18", {}),
    ("PSPNet", "resnet50", {}),
)


class Proof(NamedTuple):
    """One network compared with its original.

    Attributes:
        library: Whose network it is.
        network: Its name there.
        ours: What `create_model` builds for it.
        how: Against what.
        sizes: Of the images.
        error: Largest difference, relative to the largest logit.
        agreement: Smallest share of pixels with the same arg-max.
    """

    library: str
    network: str
    ours: str
    how: str
    sizes: str
    error: float
    agreement: float


def main() -> None:
    torch.set_grad_enabled(False)
    rows = []
    for proof in _all_proofs():
        print(*proof, sep="  ", flush=True)
        rows.append(proof)
    table = [
        "| source | network | ours | proven against | image sizes | difference | same arg-max |",
        "| --- | --- | --- | --- | --- | ---: | ---: |",
        *(
            f"| {p.library} | {p.network} | {p.ours} | {p.how} | {p.sizes} | {p.error:.1e} "
            f"| {p.agreement:.3%} |"
            for p in rows
        ),
    ]
    text = DOCUMENT.read_text(encoding="utf-8")
    before, after = text.split(START)[0], text.split(END)[1]
    write_text(DOCUMENT, "\n".join([before + START, "", *table, "", END + after]))
    worst = max(p.error for p in rows)
    print(f"{len(rows)} networks; the largest difference is {worst:.1e} of the largest logit")


def _all_proofs() -> Iterator[Proof]:
    yield from _torchvision()
    yield from _smp()
    for path in sorted(GOLDEN.glob("*.npz")):
        prefix = path.stem.partition("_")[0]
        if prefix != "mmseg" and (prefix == "smp" or prefix not in IMPORTERS):
            continue  # smp is compared with the library itself above; the rest nobody imports
        made = load_golden(path)
        library, translation = _translate(path.stem, made)
        network = path.stem.partition("_")[2]
        yield _compare_golden(library, network, made, translation, is_bgr=_starts(path.stem, BGR))
    yield from _networks()


def _networks() -> Iterator[Proof]:
    """Networks nobody imports: their own tests are run, with a comparison that remembers."""
    from models import test_deeplab_v1, test_densenet_golden, test_drn

    for name in ("drn_a_50", "drn_c_26", "drn_c_58", "drn_d_24", "drn_d_54"):
        yield _record(test_drn, lambda m, n=name: m.test_it_is_the_authors_network(n), "fyu", name)
    for name in test_densenet_golden.NETWORKS:
        run = partial(test_densenet_golden.test_the_network_is_the_originals, name)
        yield _record(test_densenet_golden, lambda _, r=run: r(), "tensorpack", name)
    run = test_deeplab_v1.test_the_catalogues_deeplab_v1_is_the_original
    yield _record(test_deeplab_v1, lambda _: run(), "wangleihitcs", "deeplabv1_vgg16")


def _record(
    module: ModuleType, run: Callable[[ModuleType], object], library: str, name: str
) -> Proof:
    found: list[tuple[float, float]] = []
    sizes: list[str] = []

    def remember(logits: Tensor, sample: Sample) -> None:
        found.append(difference(logits, sample))
        sizes.append(f"{logits.shape[-2]}x{logits.shape[-1]}")

    kept, module.compare = module.compare, remember
    try:
        run(module)
    finally:
        module.compare = kept
    error, agreement = max(e for e, _ in found), min(a for _, a in found)
    ours = name.replace("_", " ")
    return Proof(library, name, ours, "golden file", ", ".join(sizes), error, agreement)


def _translate(name: str, made: Golden) -> tuple[str, Translation]:
    prefix, _, arch = name.partition("_")
    if prefix == "mmseg":
        config = made.description.rpartition("\n")[2]
        file = _checkpoint(original_tensors(made.shapes), meta={"meta": {"config": config}})
        known = mmsegmentation.recognise(file.tensors)
        assert known is not None, name
        return "mmsegmentation 1.2.2", mmsegmentation.translate(file, known)
    importer: ModuleType = IMPORTERS[prefix]
    tensors = original_tensors(made.shapes, negative_scales=_starts(name, NEGATIVE_SCALES))
    arch = arch if arch in importer.ARCHITECTURES else arch.removesuffix("_separable")
    return prefix, importer.translate(_checkpoint(tensors), arch)


def _checkpoint(
    tensors: dict[str, Tensor], meta: dict[str, Any] | None = None
) -> ForeignCheckpoint:
    return ForeignCheckpoint(Path("weights.pth"), "0" * 64, "torch zip", tensors, meta=meta or {})


def _compare_golden(
    library: str, network: str, made: Golden, translation: Translation, *, is_bgr: bool
) -> Proof:
    model = build(translation)
    found = []
    for size, sample in made.outputs.items():
        image = random_image(size)
        found.append(difference(all_logits(model, image.flip(1) if is_bgr else image), sample))
    sizes = ", ".join(f"{height}x{width}" for height, width in made.outputs)
    error, agreement = max(e for e, _ in found), min(a for _, a in found)
    how = "golden file"
    return Proof(library, network, describe(translation.architecture), how, sizes, error, agreement)


def _torchvision() -> Iterator[Proof]:
    from torchvision import __version__
    from torchvision.models import segmentation

    for name in TORCHVISION:
        theirs = getattr(segmentation, name)(weights=None, weights_backbone=None).eval()
        randomize(theirs)
        yield _compare_live(f"torchvision {__version__}", name, theirs, lambda t, x: t(x)["out"])


def _smp() -> Iterator[Proof]:
    try:
        import segmentation_models_pytorch as smp
    except ImportError:
        print("segmentation_models_pytorch is not installed; its rows are left out")
        return
    for kind, encoder, options in SMP:
        theirs = getattr(smp, kind)(encoder, encoder_weights=None, classes=19, **options).eval()
        randomize(theirs)
        stride = options.get("encoder_output_stride")
        arch = f"{kind.lower()}_{encoder}" + (f"-os{stride}" if stride else "")
        label = f"segmentation_models_pytorch {smp.__version__}"
        yield _compare_live(label, arch, theirs, lambda t, x: t(x), library="smp", arch=arch)


def _compare_live(
    label: str,
    network: str,
    theirs: nn.Module,
    run: Callable[[nn.Module, Tensor], Tensor],
    *,
    library: str | None = None,
    arch: str | None = None,
) -> Proof:
    with TemporaryDirectory() as folder:
        path = Path(folder) / "weights.pth"
        torch.save(theirs.state_dict(), path)
        model, _, _ = import_checkpoint(path, library=library, arch=arch)
    model.eval()
    errors, agreements, sizes = [], [], []
    for size in SIZES:
        image = random_image(size)
        try:
            expected = run(theirs, image)
        except RuntimeError:  # smp refuses sizes that its strides do not divide
            size = (size[0] // 32 * 32 + 32, size[1] // 32 * 32 + 32)
            image = random_image(size)
            expected = run(theirs, image)
        sizes.append(f"{size[0]}x{size[1]}")
        found = model(image).logits
        errors.append(((found - expected).abs().max() / expected.abs().max()).item())
        agreements.append((found.argmax(1) == expected.argmax(1)).double().mean().item())
    ours = describe(model.architecture)
    where = ", ".join(dict.fromkeys(sizes))
    return Proof(label, network, ours, "its own network", where, max(errors), min(agreements))


def describe(architecture: dict[str, Any]) -> str:
    """`deeplabv3plus single, resnet50, OS 16, full`"""
    head = [architecture["name"], architecture.get("head_variant") or architecture.get("oc") or ""]
    neck = architecture.get("neck")
    words = [" ".join(word for word in head if word), architecture["backbone"]]
    stem = architecture.get("stem")
    words[-1] += f"-{stem}" if stem else ""
    words.append(f"OS {architecture.get('output_stride')}")
    words += [neck] if neck else []
    words += ["corners aligned"] if architecture.get("align_corners") else []
    words += ["DSRL"] if architecture.get("dsrl") else []
    return ", ".join(words)


def _starts(name: str, prefixes: tuple[str, ...]) -> bool:
    return name.startswith(prefixes)


if __name__ == "__main__":
    main()
