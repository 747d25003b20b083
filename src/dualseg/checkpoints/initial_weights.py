"""Start a training from the weights of an earlier one, such as the stage before in DSRL."""

from collections.abc import Mapping
from pathlib import Path
from typing import NamedTuple

from torch import Tensor, nn

from dualseg.checkpoints.importers.new_classes import classifier_tensors, keep_known_rows
from dualseg.checkpoints.model_files import (
    find_model,
    load_weights,
    read_facts,
    require_undamaged,
)
from dualseg.checkpoints.tensors import (
    read_tensors,
    require_finite,
    require_same_tensors,
    shorten,
)
from dualseg.core.errors import InputError
from dualseg.core.facts import ModelFacts, default_labels
from dualseg.core.labels import LabelSpec

HOST = "host."
PREDICTOR = "host.predictor."


class InitialWeights(NamedTuple):
    """What a network was started from.

    Attributes:
        new_tensors: Names of the weights that keep their random start.
        facts: What the file says about its network.
        about_classes: Which classes' rows were kept, where its classes are not the data's.
    """

    new_tensors: tuple[str, ...]
    facts: ModelFacts
    about_classes: str | None


def load_initial_weights(
    model: nn.Module, path: str | Path, *, labels: LabelSpec, may_be_new: tuple[str, ...]
) -> InitialWeights:
    """Loads a file's weights into a network that may have more parts than the file.

    A plain network's file fits a DSRL network: its weights go into the host, and those of its
    classifier to the one with which the label decoder reads the host's features, so that the
    decoder begins with what the host knows. A classifier of another shape is left out, and so is
    every one where the decoder has none; the decoder's other weights start anew.

    Rows of classifiers go where the data has the class of that name; the others keep their random
    start. Where the file only numbers its classes (`class_0`, ...), all rows stay as they are.

    Args:
        model: Network to fill, with its `architecture`.
        path: As for `load_model`.
        labels: Classes of the data.
        may_be_new: Prefixes of the parts the file need not have, such as `sisr_decoder.`.

    Raises:
        InputError: Anything else is missing, left over, wrongly shaped or of a wrong type; all of
            it is listed. Or the file is damaged, or predicts another number of classes.
    """
    weights_path, facts_path = find_model(path)
    facts = read_facts(facts_path)
    require_undamaged(weights_path)
    weights = read_tensors(weights_path)
    require_finite(weights, origin=str(weights_path))
    expected = model.state_dict()
    if _starts_any(expected, HOST) and not _starts_any(weights, HOST):
        weights, replaced = _move_into_host(weights, expected, _classifier_name(model))
        may_be_new = (*may_be_new, PREDICTOR) if replaced else may_be_new
    new = {
        name: value
        for name, value in expected.items()
        if name not in weights and name.startswith(may_be_new)
    }
    about_classes = None
    if facts.labels.class_names != labels.class_names:
        classifiers = classifier_tensors(model.architecture)  # type: ignore[arg-type]
        has_any = any(name in weights for name in classifiers)
        _require_as_many(path, facts.labels, labels, has_any)
        require_same_tensors({**weights, **new}, expected, origin=str(weights_path))
        weights, about_classes = _for_classes(
            weights, expected, classifiers if has_any else {}, facts.labels, labels
        )
    load_weights(model, {**weights, **new}, origin=str(weights_path))
    return InitialWeights(tuple(new), facts, about_classes)


def _require_as_many(path: str | Path, old: LabelSpec, new: LabelSpec, has_any: bool) -> None:
    if has_any and old.num_classes != new.num_classes:
        raise InputError(
            f"initial weights {path} are of a network for {old.num_classes} classes "
            f"({_listed(old.class_names)}), but the data has {new.num_classes} "
            f"({_listed(new.class_names)}), and the classifier does not fit; take weights for as "
            "many classes, or leave out training.init_weights"
        )


def _for_classes(
    weights: dict[str, Tensor],
    fresh: Mapping[str, Tensor],
    classifiers: Mapping[str, tuple[int, ...]],
    old: LabelSpec,
    new: LabelSpec,
) -> tuple[dict[str, Tensor], str]:
    """Weights with their classifiers' rows in the data's order, and a line that says so."""
    if not classifiers:
        return weights, (
            f"its classes ({_listed(old.class_names)}) are not the data's "
            f"({_listed(new.class_names)}); no row of its classifier is used, all begin anew"
        )
    if old.class_names == default_labels(old.num_classes).class_names:
        return weights, (
            f"it does not name its classes; their rows are kept in order for "
            f"{_listed(new.class_names)}"
        )
    replaced = keep_known_rows(weights, fresh, classifiers, old, new)
    return replaced.weights, (
        f"its classes ({_listed(old.class_names)}) are not the data's in this order; classifier "
        f"rows kept by name: {_listed(replaced.copied)}; begun anew: {_listed(replaced.new)}"
    )


def _listed(names: tuple[str, ...]) -> str:
    return ", ".join(shorten(names)) or "none"


def _move_into_host(
    weights: Mapping[str, Tensor], expected: Mapping[str, Tensor], classifier: str | None
) -> tuple[dict[str, Tensor], bool]:
    """Names under `host.`, and whether its predictor is not the file's."""
    moved = {HOST + name: value for name, value in weights.items()}
    theirs = {name for name in moved if name.startswith(PREDICTOR)}
    if theirs == {name for name in expected if name.startswith(PREDICTOR)}:
        return moved, False
    rest = {name: value for name, value in moved.items() if name not in theirs}
    if classifier is None:
        return rest, True
    ours = {f"{PREDICTOR}{classifier}.{name.rpartition('.')[2]}": moved[name] for name in theirs}
    fits = all(name in expected and expected[name].shape == ours[name].shape for name in ours)
    return (rest | ours if fits else rest), True


def _classifier_name(model: nn.Module) -> str | None:
    """Of the decoder's own classifier of the host's features."""
    return getattr(model.get_submodule("host.predictor"), "host_classifier", None)


def _starts_any(names: Mapping[str, Tensor], prefix: str) -> bool:
    return any(name.startswith(prefix) for name in names)
