"""Which keys may change when a run goes on: those that leave the steps already made as they are."""

from collections.abc import Mapping
from typing import Any

from dualseg.core.errors import InputError

LENGTH = ("training.max_steps", "training.max_epochs")
TEACHER = "distillation.teacher"  # the same one, moved: its fingerprint may not change

MAY_CHANGE = frozenset(
    {
        *LENGTH,
        "training.eval_every",
        "training.checkpoint_every",
        "training.keep_checkpoints",
        "training.log_every",
        "training.num_workers",
        "training.patience",
        "training.min_delta",
        "training.on_nan",
        "training.max_skipped_steps",
        "data.root",
        "data.cache",
        "data.cache_dir",
        "runtime.device",
        "runtime.threads",
        "runtime.deterministic",
        TEACHER,
        "tracking.trackers",
        "tracking.pictures",
        "tracking.histograms",
        "tracking.project",
        "tracking.name",
        "tracking.wandb_mode",
        "tracking.mlflow_uri",
        "tracking.visdom_server",
    }
)


def changed_keys(before: Mapping[str, Any], after: Mapping[str, Any]) -> dict[str, tuple[Any, Any]]:
    """Dotted key -> (old, new) for every value that differs between two nested recipes."""
    old, new = _flat(before), _flat(after)
    keys = [*old, *(key for key in new if key not in old)]
    return {key: (old.get(key), new.get(key)) for key in keys if old.get(key) != new.get(key)}


def require_same_course(before: Mapping[str, Any], after: Mapping[str, Any]) -> None:
    """Refuses changes that would make the run another one.

    Raises:
        InputError: Lists every refused key with its old and new value.
    """
    changed = changed_keys(before, after)
    refused = {k: v for k, v in changed.items() if k not in MAY_CHANGE or _is_new_teacher(k, v)}
    if refused:
        raise InputError(
            "these keys cannot change when a run goes on; train anew with another --out instead "
            f"(may change: {', '.join(sorted(MAY_CHANGE))}; the teacher only where it lies):",
            [f"{key}: {old!r} -> {new!r}" for key, (old, new) in refused.items()],
        )


def _is_new_teacher(key: str, values: tuple[Any, Any]) -> bool:
    """One where there was none, or none where there was one."""
    return key == TEACHER and None in values


def _flat(nested: Mapping[str, Any], prefix: str = "") -> dict[str, Any]:
    flat: dict[str, Any] = {}
    for key, value in nested.items():
        if isinstance(value, Mapping):
            flat |= _flat(value, f"{prefix}{key}.")
        else:
            flat[f"{prefix}{key}"] = value
    return flat
