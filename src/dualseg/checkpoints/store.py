"""The checkpoints of one run: each whole or not there, checked before use, newest and best kept.

checkpoints/step_00000120/   model.safetensors  model.json  training_state.*  checksums.json
checkpoints/last, best       links to two of these folders
"""

import errno
import os
import re
import shutil
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path

from torch import Tensor

from dualseg.checkpoints.checksums import CHECKSUMS_FILE, checksums, find_damage
from dualseg.checkpoints.json_files import pack_json
from dualseg.checkpoints.model_files import FACTS_FILE, WEIGHTS_FILE
from dualseg.checkpoints.tensors import pack_tensors, read_tensors
from dualseg.checkpoints.training_state import (
    NUMBERS_FILE,
    TENSORS_FILE,
    TrainingState,
    read_training_state,
)
from dualseg.core.errors import InputError
from dualseg.core.facts import ModelFacts
from dualseg.core.files import (
    TEMPORARY_MARK,
    DiskFullError,
    new_folder,
    remove_stale,
    sync_folder,
    write_bytes,
)

_FILES = (WEIGHTS_FILE, FACTS_FILE, TENSORS_FILE, NUMBERS_FILE)
_STEP_FOLDER = re.compile(r"step_(\d{8,})")
_NO_LINKS_HERE = (errno.EPERM, errno.ENOSYS, errno.EOPNOTSUPP)


@dataclass(frozen=True)
class Checkpoint:
    """One checkpoint on disk whose checksums are right."""

    step: int
    folder: Path

    def weights(self) -> dict[str, Tensor]:
        """Weights that inference uses: averaged ones where the run averages."""
        return read_tensors(self.folder / WEIGHTS_FILE)

    def training_state(self) -> TrainingState:
        """Everything else that `resume` needs."""
        return read_training_state(self.folder)


class CheckpointStore:
    """Writes, finds and retires the checkpoints of a run folder.

    Only one process may write at a time; the run folder's lock sees to that.

    Args:
        run_folder: The run; its folder `checkpoints` is made when first needed.
        keep: Newest checkpoints that are kept, at least 2; the best one is kept as well.
        report: Is told in one line about anything unusual, such as a damaged checkpoint.
    """

    def __init__(self, run_folder: Path, *, keep: int = 2, report: Callable[[str], None]):
        if keep < 2:
            raise ValueError(f"keep is {keep}; at least 2, since the newest may be damaged")
        self.folder = run_folder / "checkpoints"
        self.keep = keep
        self._report = report
        self._damaged: dict[int, str] = {}

    def save(
        self, weights: Mapping[str, Tensor], facts: ModelFacts, state: TrainingState
    ) -> Checkpoint:
        """Writes the checkpoint of `state.position.step`, points `last` and `best` and retires old
        ones.

        Raises:
            DiskFullError: No space; every earlier checkpoint is intact.
        """
        step, best_step = state.position.step, state.position.best_step
        contents = {
            WEIGHTS_FILE: pack_tensors(weights),
            FACTS_FILE: pack_json(facts.to_dict()),
            **state.pack(),
        }
        contents[CHECKSUMS_FILE] = pack_json(checksums(contents))
        path = self._path(step)
        try:
            self.folder.mkdir(parents=True, exist_ok=True)
            with new_folder(path) as folder:
                for name, content in contents.items():
                    write_bytes(folder / name, content)
                self._set_aside(path)
        except DiskFullError as error:
            size = sum(len(content) for content in contents.values())
            raise DiskFullError(f"{error} (the checkpoint needs {size:,} bytes)") from error
        self._damaged.pop(step, None)
        self.point(step, best_step)
        self._retire(best_step)
        return Checkpoint(step, path)

    def latest(self) -> Checkpoint | None:
        """The newest checkpoint that is as it was written; None where the run never wrote one.

        A damaged one is passed over with a message, and removed when a newer good one has been
        saved.

        Raises:
            InputError: There are checkpoints, and every one is damaged.
        """
        steps = self.steps()
        for step in reversed(steps):
            damage = find_damage(self._path(step), _FILES)
            if damage is None:
                self._report_damage(step)
                return Checkpoint(step, self._path(step))
            self._damaged[step] = damage
        if steps:
            raise InputError(
                f"every checkpoint in {self.folder} is damaged; restore one from a backup, or "
                "train anew into another folder:",
                [f"{self._path(step).name}: {self._damaged[step]}" for step in steps],
            )
        return None

    def steps(self) -> list[int]:
        """Steps that have a checkpoint folder, ascending."""
        if not self.folder.is_dir():
            return []
        matches = (_STEP_FOLDER.fullmatch(item.name) for item in self.folder.iterdir())
        return sorted(int(match[1]) for match in matches if match)

    def point(self, last_step: int, best_step: int | None) -> None:
        """Lets `last` and `best` name these checkpoints; removes `best` if its folder is gone."""
        self._link("last", last_step)
        if best_step is not None and self._is_good(best_step):
            self._link("best", best_step)
        elif (self.folder / "best").is_symlink():
            (self.folder / "best").unlink()

    def remove_stale(self) -> list[Path]:
        """Removes what a killed process left half-written; returns what that was."""
        return remove_stale(self.folder) if self.folder.is_dir() else []

    def require_space(self, checkpoint_bytes: int) -> None:
        """Refuses to start a run whose checkpoints will not fit.

        Raises:
            DiskFullError: Less is free than the checkpoints kept, the best one and one being
                written take.
        """
        place = self.folder
        while not place.exists():
            place = place.parent
        needed = checkpoint_bytes * (self.keep + 2)
        free = shutil.disk_usage(place).free
        if free < needed:
            raise DiskFullError(
                f"{self.folder} needs about {needed:,} bytes for {self.keep + 2} checkpoints, "
                f"{free:,} are free; free some space or choose another folder"
            )

    def _path(self, step: int) -> Path:
        return self.folder / f"step_{step:08d}"

    def _is_good(self, step: int) -> bool:
        return step not in self._damaged and self._path(step).is_dir()

    def _report_damage(self, good_step: int) -> None:
        for step, damage in self._damaged.items():
            self._report(
                f"{self._path(step)} is damaged ({damage}); going on from step {good_step} instead"
            )

    def _link(self, name: str, step: int) -> None:
        link, target = self.folder / name, self._path(step).name
        temporary = self.folder / f"{TEMPORARY_MARK}{os.getpid()}-{name}"
        temporary.unlink(missing_ok=True)
        try:
            os.symlink(target, temporary)
        except OSError as error:
            if error.errno not in _NO_LINKS_HERE and os.name != "nt":
                raise
            shutil.copytree(self.folder / target, temporary)
        if not link.is_symlink():
            self._set_aside(link)  # a real folder, as in a run copied without its links
        os.replace(temporary, link)
        sync_folder(self.folder)

    def _retire(self, best_step: int | None) -> None:
        good = [step for step in self.steps() if step not in self._damaged]
        kept = {*good[-self.keep :], best_step}
        for step in self.steps():
            if step not in kept:
                self._set_aside(self._path(step))

    def _set_aside(self, path: Path) -> None:
        """Removes a folder so that a kill never leaves half of it under its name."""
        if not path.exists():
            return
        aside = path.with_name(f"{TEMPORARY_MARK}{os.getpid()}-old-{path.name}")
        try:
            shutil.rmtree(aside, ignore_errors=True)
            os.rename(path, aside)
            shutil.rmtree(aside)
        except OSError as error:
            self._report(f"warning: {path} could not be removed: {error.strerror or error}")
