"""Every importer by name, and the way from a foreign file to a network of ours."""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from types import ModuleType

import torch
from torch import Tensor, nn

from dualseg.checkpoints.foreign.checkpoint import ForeignCheckpoint
from dualseg.checkpoints.foreign.read import read_foreign
from dualseg.checkpoints.importers import (
    ccnet,
    coincheung,
    dootmaan,
    jfzhang,
    kazuto1011,
    mmsegmentation,
    ocnet,
    sanje2v,
    smp,
    torchvision,
    vainf,
    zhang,
)
from dualseg.checkpoints.importers.new_classes import (
    choose_labels,
    moves_a_class,
    replace_classes,
)
from dualseg.checkpoints.importers.translation import MAPPING_VERSION, Translation
from dualseg.checkpoints.model_files import load_weights
from dualseg.checkpoints.tensors import require_same_tensors
from dualseg.core.errors import InputError, nearest
from dualseg.core.facts import ModelFacts, default_labels
from dualseg.core.labels import LabelSpec
from dualseg.models.catalog import create_model

IMPORTERS: dict[str, ModuleType] = {
    "torchvision": torchvision,
    "mmsegmentation": mmsegmentation,
    "smp": smp,
    "jfzhang": jfzhang,
    "vainf": vainf,
    "zhang": zhang,
    "ccnet": ccnet,
    "ocnet": ocnet,
    "coincheung": coincheung,
    "kazuto1011": kazuto1011,
    "sanje2v": sanje2v,
    "dootmaan": dootmaan,
}
BACKBONE_LIBRARY = "timm"
STRIDE_SUFFIX = re.compile(r"_os\d+$")
IMAGE_CLASSIFIER = re.compile(
    r"(fc|head|head\.fc|heads\.head|last_linear|classifier(\.\d+)?)\.weight"
)


@dataclass(frozen=True)
class ImportReport:
    """What was made of a foreign file.

    Args:
        checkpoint: The file as it was read.
        library: Key of `IMPORTERS`.
        arch: Key of that importer's `ARCHITECTURES`.
        source: What the model's facts say about where it comes from.
        licence: As `Translation`.
        parameters: Of the network, auxiliary heads included.
        consumed: Tensors of the source that are in it.
        dropped: Tensor of the source -> why it is not.
        class_names: Classes the network predicts now.
        twins: Other architectures with the same tensors, where the user named none.
        notes: What was found around the tensors, and which names were assumed.
        copied: Those whose classifier rows come from the source; None where all do as they were.
        new: Those whose rows start at random.
    """

    checkpoint: ForeignCheckpoint
    library: str
    arch: str
    source: str
    licence: str
    parameters: int
    consumed: int
    dropped: Mapping[str, str]
    class_names: tuple[str, ...]
    twins: tuple[str, ...] = ()
    notes: tuple[str, ...] = ()
    copied: tuple[str, ...] | None = None
    new: tuple[str, ...] = ()


def import_checkpoint(
    path: str | Path,
    *,
    library: str | None = None,
    arch: str | None = None,
    class_names: tuple[str, ...] | None = None,
    num_classes: int | None = None,
) -> tuple[nn.Module, ModelFacts, ImportReport]:
    """A network of ours with the weights of another library's file.

    Args:
        path: As for `read_foreign`.
        library: Key of `IMPORTERS`; found by the tensors' names where not given.
        arch: Key of that importer's `ARCHITECTURES`; likewise.
        class_names: Other classes; rows of the classifiers are copied by name.
        num_classes: Another number of classes; new classifiers.

    Raises:
        InputError: The file is refused, unknown, or does not fit in every tensor.
    """
    checkpoint = read_foreign(path)
    asked_arch = arch
    library, arch = find_importer(checkpoint, library, arch)
    translation = IMPORTERS[library].translate(checkpoint, arch)
    _require_parameters(translation)
    architecture = {**translation.architecture, "pretrained": False}
    count = int(architecture["num_classes"])
    if count == 1:
        raise InputError(f"{path} tells one class from the rest by a single logit: not covered")
    old = translation.labels or translation.assumed_labels or default_labels(count)
    labels = choose_labels(old, class_names=class_names, num_classes=num_classes)
    weights, copied, new = translation.weights, None, ()
    is_naming = _is_naming(translation, labels, count)
    if labels != old and not is_naming:
        with torch.device("meta"):
            outline = create_model(**architecture).state_dict()
        require_same_tensors(weights, outline, origin=str(path))
        weights, copied, new = replace_classes(weights, architecture, old, labels)
        architecture["num_classes"] = labels.num_classes
    model = create_model(**architecture)
    load_weights(model, weights, origin=str(path))
    source = _source(checkpoint, translation)
    facts = ModelFacts(
        architecture=model.architecture,
        labels=labels,
        mean=translation.mean,
        std=translation.std,
        training_size=translation.training_size,
        source=source,
    )
    model.facts = facts
    report = ImportReport(
        checkpoint=checkpoint,
        library=library,
        arch=arch,
        source=source,
        licence=translation.licence,
        parameters=sum(p.numel() for p in model.parameters()),
        consumed=len(checkpoint.tensors) - len(translation.dropped),
        dropped=translation.dropped,
        class_names=labels.class_names,
        twins=twins(library, arch) if asked_arch is None else (),
        notes=(*checkpoint.notes, *_about_names(translation, labels, copied)),
        copied=copied,
        new=new,
    )
    return model, facts, report


def find_importer(
    checkpoint: ForeignCheckpoint, library: str | None, arch: str | None
) -> tuple[str, str]:
    """Which importer the tensors are for, and which of its networks they are.

    Raises:
        InputError: Nobody recognises them, more than one does, or a name is unknown.
    """
    if library == BACKBONE_LIBRARY or (library is None and _is_classifier(checkpoint.tensors)):
        raise InputError(_backbone_alone(checkpoint))
    if library is not None and library not in IMPORTERS:
        raise InputError(f"there is no importer {library!r}; {nearest(library, IMPORTERS)}")
    asked = [library] if library else list(IMPORTERS)
    if arch is not None:
        asked = [name for name in asked if arch in IMPORTERS[name].ARCHITECTURES]
        if not asked:
            known = [a for name in IMPORTERS for a in IMPORTERS[name].ARCHITECTURES]
            raise InputError(f"there is no --arch {arch!r}; {nearest(arch, known)}")
        if len(asked) == 1:
            return asked[0], arch
    found = {name: IMPORTERS[name].recognise(checkpoint.tensors) for name in asked}
    found = {name: known for name, known in found.items() if known is not None}
    if len(found) == 1:
        ((name, known),) = found.items()
        return name, arch or known
    if found:
        raise InputError(
            f"{checkpoint.path} could be from {' or '.join(found)}; say which with --from"
        )
    raise InputError(_unknown(checkpoint, library))


def twins(library: str, arch: str) -> tuple[str, ...]:
    """Architectures whose tensors are the same at another output stride, which no file tells."""
    stem = STRIDE_SUFFIX.sub("", arch)
    known = IMPORTERS[library].ARCHITECTURES
    return tuple(name for name in known if name != arch and STRIDE_SUFFIX.sub("", name) == stem)


def _unknown(checkpoint: ForeignCheckpoint, library: str | None) -> str:
    names = list(checkpoint.tensors)
    if _is_classifier(checkpoint.tensors):
        return _backbone_alone(checkpoint)
    whose = library or f"any of {', '.join(IMPORTERS)}"
    return (
        f"{checkpoint.path} is no segmentation network of {whose} (its {len(names)} tensors begin "
        f"with {', '.join(names[:3])}); name it with --from and --arch, see `dualseg import "
        f"--list`; a backbone alone is given to training instead: {_pretrained(checkpoint)}"
    )


def _backbone_alone(checkpoint: ForeignCheckpoint) -> str:
    return (
        f"{checkpoint.path} holds a network for whole images, that is a backbone alone; start a "
        f"training from it instead of importing it: {_pretrained(checkpoint)}"
    )


def _pretrained(checkpoint: ForeignCheckpoint) -> str:
    return f"`dualseg train --set model.pretrained={checkpoint.path}`"


def _is_classifier(tensors: Mapping[str, Tensor]) -> bool:
    """Whether a network for whole images has these weights: it ends in a matrix."""
    return any(
        tensor.dim() == 2 and IMAGE_CLASSIFIER.fullmatch(name) for name, tensor in tensors.items()
    )


def _require_parameters(translation: Translation) -> None:
    """A published count tells networks apart whose tensors have the same names."""
    if translation.parameters is None:
        return
    with torch.device("meta"):
        network = create_model(**{**translation.architecture, "pretrained": False})
    count = sum(p.numel() for p in network.parameters())
    if count != translation.parameters:
        raise InputError(
            f"{translation.source} has {translation.parameters:,} parameters, but the network its "
            f"tensors describe has {count:,}; is this the right --arch?"
        )


def _is_naming(translation: Translation, labels: LabelSpec, count: int) -> bool:
    """Whether the labels asked for only name the rows, whose names are unknown or assumed."""
    assumed = translation.assumed_labels
    if translation.labels is not None or labels.num_classes != count:
        return False
    return assumed is None or not moves_a_class(assumed, labels)


def _about_names(
    translation: Translation, labels: LabelSpec, copied: tuple[str, ...] | None
) -> list[str]:
    """Says where names were used that only the number of classes speaks for."""
    assumed = translation.assumed_labels
    if translation.labels is not None or assumed is None or not (labels == assumed or copied):
        return []
    return [
        f"the file names no classes; because it has {assumed.num_classes}, they are assumed to be "
        f"{', '.join(assumed.class_names[:3])} and so on; if they are others, name all of them "
        "with --class-names"
    ]


def _source(checkpoint: ForeignCheckpoint, translation: Translation) -> str:
    return (
        f"{translation.source}; file {checkpoint.path.name}, SHA-256 {checkpoint.sha256}; "
        f"mapping {MAPPING_VERSION}; licence {translation.licence}"
    )
