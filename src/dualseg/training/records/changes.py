"""Which keys may change when a run goes on: those that leave the steps already made as they are.

`changes.jsonl` in the run folder notes the others, where somebody changed them all the same.
"""

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from dualseg.core.errors import InputError
from dualseg.core.files import write_text

CHANGES_FILE = "changes.jsonl"

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


def course_changes(
    before: Mapping[str, Any], after: Mapping[str, Any]
) -> dict[str, tuple[Any, Any]]:
    """Those of `changed_keys` that make the run another one."""
    changed = changed_keys(before, after)
    return {k: v for k, v in changed.items() if k not in MAY_CHANGE or _is_new_teacher(k, v)}


def require_same_course(
    before: Mapping[str, Any],
    after: Mapping[str, Any],
    *,
    noted: Mapping[str, tuple[Any, Any]] | None = None,
) -> None:
    """Refuses changes that would make the run another one, but those that are noted already.

    Raises:
        InputError: Lists every refused key with its old and new value.
    """
    changes = course_changes(before, after)
    refused = {k: v for k, v in changes.items() if (noted or {}).get(k) != v}
    if refused:
        raise InputError(
            "these keys cannot change when a run goes on; train anew with another --out instead, "
            f"or add --allow-changed, which notes them in {CHANGES_FILE} "
            f"(may change: {', '.join(sorted(MAY_CHANGE))}; the teacher only where it lies):",
            describe_changes(refused),
        )


def require_restorable(changes: Mapping[str, tuple[Any, Any]]) -> None:
    """Refuses changes for which a checkpoint has no state, whatever is allowed.

    Raises:
        InputError: The optimiser is another one, or there is an average of the weights where there
            was none, or none where there was one.
    """
    hopeless = {
        key: values
        for key, values in changes.items()
        if key == "training.optimizer" or (key == "training.ema_decay" and None in values)
    }
    if hopeless:
        raise InputError(
            "the checkpoint holds the state of the old value alone; train anew into another folder "
            "with training.init_weights from this run:",
            describe_changes(hopeless),
        )


def describe_changes(changes: Mapping[str, tuple[Any, Any]]) -> list[str]:
    """One line a key, with its old and its new value."""
    return [f"{key}: {old!r} -> {new!r}" for key, (old, new) in changes.items()]


def note_changes(run_folder: Path, step: int, changes: Mapping[str, tuple[Any, Any]]) -> None:
    """Adds a line to `changes.jsonl`; one of this step, or of steps that are made anew, goes."""
    path = run_folder / CHANGES_FILE
    kept = [entry for entry in _entries(path) if entry["step"] < step]
    lines = [*kept, {"step": step, "changed": dict(changes)}]
    write_text(path, "".join(json.dumps(line) + "\n" for line in lines))


def noted_changes(run_folder: Path) -> dict[int, dict[str, tuple[Any, Any]]]:
    """Step behind which a run went on otherwise -> key -> (old, new)."""
    return {
        entry["step"]: {key: (old, new) for key, (old, new) in entry["changed"].items()}
        for entry in _entries(run_folder / CHANGES_FILE)
    }


def _is_new_teacher(key: str, values: tuple[Any, Any]) -> bool:
    """One where there was none, or none where there was one."""
    return key == TEACHER and None in values


def _entries(path: Path) -> list[dict[str, Any]]:
    if not path.is_file():
        return []
    try:
        return [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines()]
    except (OSError, ValueError) as error:
        raise InputError(f"cannot read {path}: {error}") from None


def _flat(nested: Mapping[str, Any], prefix: str = "") -> dict[str, Any]:
    flat: dict[str, Any] = {}
    for key, value in nested.items():
        if isinstance(value, Mapping):
            flat |= _flat(value, f"{prefix}{key}.")
        else:
            flat[f"{prefix}{key}"] = value
    return flat
