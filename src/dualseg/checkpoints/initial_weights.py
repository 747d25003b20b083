"""Start a training from the weights of an earlier one, such as the stage before in DSRL."""

from collections.abc import Mapping
from pathlib import Path

from torch import Tensor, nn

from dualseg.checkpoints.model_files import find_model, load_weights, require_undamaged
from dualseg.checkpoints.tensors import read_tensors, require_finite

HOST = "host."
PREDICTOR = "host.predictor."


def load_initial_weights(
    model: nn.Module, path: str | Path, *, may_be_new: tuple[str, ...]
) -> tuple[str, ...]:
    """Loads a file's weights into a network that may have more parts than the file.

    A plain network's file fits a DSRL network: its weights go into the host, and those of its
    classifier to the one with which the label decoder reads the host's features, so that the
    decoder begins with what the host knows. A classifier of another shape is left out, and so is
    every one where the decoder has none; the decoder's other weights start anew.

    Args:
        model: Network to fill.
        path: As for `load_model`.
        may_be_new: Prefixes of the parts the file need not have, such as `sisr_decoder.`.

    Returns:
        Names of the weights that keep their random start.

    Raises:
        InputError: Anything else is missing, left over or wrongly shaped; all of it is listed. Or
            the file is damaged.
    """
    weights_path, _ = find_model(path)
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
    load_weights(model, {**weights, **new}, origin=str(weights_path))
    return tuple(new)


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
