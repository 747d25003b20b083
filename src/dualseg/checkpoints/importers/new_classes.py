"""Other classes for a network: new classifiers that keep the rows of classes they still have."""

from collections.abc import Mapping
from typing import Any, NamedTuple

import torch
from torch import Tensor

from dualseg.core.errors import InputError
from dualseg.core.facts import default_labels
from dualseg.core.labels import LabelSpec, voc_palette
from dualseg.models.catalog import create_model


class Replaced(NamedTuple):
    """A network's weights for other classes.

    Attributes:
        weights: All of them.
        copied: Names of the new classes whose rows were known, as they are spelled now.
        new: Names of those that start at random.
    """

    weights: dict[str, Tensor]
    copied: tuple[str, ...]
    new: tuple[str, ...]


def choose_labels(
    old: LabelSpec, *, class_names: tuple[str, ...] | None, num_classes: int | None
) -> LabelSpec:
    """The labels a user asked for; the old ones where nothing, or the same number, was asked for.

    Raises:
        InputError: Names and number contradict each other.
    """
    if class_names is not None:
        if num_classes not in (None, len(class_names)):
            raise InputError(
                f"{len(class_names)} class names for {num_classes} classes; give one for each"
            )
        return LabelSpec(class_names=class_names, palette=voc_palette(len(class_names)))
    if num_classes is None or num_classes == old.num_classes:
        return old
    return default_labels(num_classes)


def moves_a_class(old: LabelSpec, new: LabelSpec) -> bool:
    """Whether a class of both stands at another row among the new ones."""
    return any(source not in (None, row) for row, source in enumerate(_known_rows(old, new)))


def replace_classes(
    weights: Mapping[str, Tensor],
    architecture: Mapping[str, Any],
    old: LabelSpec,
    new: LabelSpec,
) -> Replaced:
    """Keeps every weight but those of classifiers, whose rows are copied by the name of the class.

    A name that is spelled otherwise in upper and lower case alone is the same, unless there are
    several such among the old or the new ones; synonyms are different names. The other rows start
    as in a new network, always with the same random numbers.

    Args:
        weights: Of the network for the old classes.
        architecture: Arguments of `create_model` for the old classes.
        old: Classes the rows stand for now.
        new: Classes wanted.
    """
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        fresh = create_model(**{**architecture, "num_classes": new.num_classes}).state_dict()
    return keep_known_rows(weights, fresh, classifier_tensors(architecture), old, new)


def keep_known_rows(
    weights: Mapping[str, Tensor],
    fresh: Mapping[str, Tensor],
    classifiers: Mapping[str, tuple[int, ...]],
    old: LabelSpec,
    new: LabelSpec,
) -> Replaced:
    """As `replace_classes`, where the network for the new classes is there already.

    Args:
        weights: Of the network for the old classes.
        fresh: Of the network for the new ones, as it starts.
        classifiers: As `classifier_tensors`; those that `weights` lacks are passed over.
        old: Classes the rows stand for now.
        new: Classes wanted.
    """
    sources = _known_rows(old, new)
    replaced = dict(weights)
    for name, axes in classifiers.items():
        if name in weights:
            replaced[name] = _with_known_rows(fresh[name], weights[name], axes, sources)
    named = list(zip(new.class_names, sources, strict=True))
    return Replaced(
        replaced,
        copied=tuple(name for name, source in named if source is not None),
        new=tuple(name for name, source in named if source is None),
    )


def _known_rows(old: LabelSpec, new: LabelSpec) -> list[int | None]:
    """Of each new class its row among the old ones, or None."""
    exact = {name: row for row, name in enumerate(old.class_names)}
    alike, asked = _single_without_case(old), _single_without_case(new)
    shared = {name: row for name, row in alike.items() if name in asked}
    return [exact.get(name, shared.get(name.casefold())) for name in new.class_names]


def _single_without_case(labels: LabelSpec) -> dict[str, int]:
    """Rows of the names that no other differs from in upper and lower case alone."""
    names = [name.casefold() for name in labels.class_names]
    return {name: row for row, name in enumerate(names) if names.count(name) == 1}


def _with_known_rows(
    fresh: Tensor, old: Tensor, axes: tuple[int, ...], sources: list[int | None]
) -> Tensor:
    """`fresh` with what `old` holds for known classes, on every axis that follows the classes.

    A transposed convolution from classes to classes has two such axes; one before a pixel shuffle
    has several rows for each class, side by side.
    """
    rows = [row for row, source in enumerate(sources) if source is not None]
    known = [source for source in sources if source is not None]
    taken, result = old, fresh.clone()
    place: list[Tensor | slice] = [slice(None)] * fresh.dim()
    for number, axis in enumerate(axes):
        of_each = fresh.shape[axis] // len(sources)
        taken = taken.index_select(axis, _side_by_side(known, of_each))
        shape = [1] * len(axes)
        shape[number] = -1
        place[axis] = _side_by_side(rows, of_each).reshape(shape)  # open mesh: every combination
    result[tuple(place)] = taken.to(result.dtype)
    return result


def _side_by_side(classes: list[int], of_each: int) -> Tensor:
    """Rows of these classes, where every class has `of_each` of them in a row."""
    firsts = torch.tensor(classes, dtype=torch.int64) * of_each
    return (firsts[:, None] + torch.arange(of_each)).flatten()


def classifier_tensors(architecture: Mapping[str, Any]) -> dict[str, tuple[int, ...]]:
    """Tensors whose shape follows the number of classes, with the axes that do."""
    num_classes = int(architecture["num_classes"])
    shapes = []
    for count in (num_classes, num_classes + 1):
        with torch.device("meta"):
            network = create_model(**{**architecture, "num_classes": count})
        shapes.append({name: tuple(t.shape) for name, t in network.state_dict().items()})
    few, more = shapes
    axes = {
        name: tuple(i for i, (a, b) in enumerate(zip(shape, more[name], strict=True)) if a != b)
        for name, shape in few.items()
    }
    return {name: found for name, found in axes.items() if found}
