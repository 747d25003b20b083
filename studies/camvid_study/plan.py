"""Which runs a part of the study consists of, in which order, and the recipe of each."""

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from camvid_study.ablation_rows import ablation_rows
from camvid_study.best_rows import best_rows
from camvid_study.beyond_rows import beyond_rows
from camvid_study.hosts import HOSTS, OWN_NETWORK, fitted_rates, pretrained_file
from camvid_study.rows import SIZES, Changes, Row, combined, slug
from camvid_study.scratch_rows import scratch_rows
from camvid_study.variant_rows import variant_rows
from dualseg.config import Recipe, check_recipe, load_recipe
from dualseg.core.errors import InputError, nearest

BASE = Path(__file__).parents[1] / "camvid_base.yaml"
PARTS = ("ablation", "variants", "beyond", "scratch", "best")
OF_OWN_NETWORKS = {"scratch": scratch_rows, "best": best_rows}  # of one size and host
MODEL_FILE = "model.safetensors"
EVALUATIONS = 6  # of a run, for its learning curve
CHECKPOINTS = 20


@dataclass(frozen=True)
class Run:
    """A row with a seed.

    Args:
        row: What is trained.
        seed: Of weights, crops and dropout; runs of equal seeds are pairs.
        epochs: Those asked for; the row's own length is `row.epochs(epochs)`.
        folder: Where it is kept.
    """

    row: Row
    seed: int
    epochs: int
    folder: Path

    @property
    def label(self) -> str:
        """For a person."""
        row = self.row
        return f"{row.name} ({row.host}, {row.input_name} in, seed {self.seed})"

    def sibling(self, name: str) -> Path:
        """Folder of the run of another row at the same size, host, length and seed."""
        return self.folder.parents[1] / slug(name) / self.folder.name

    def weights_of(self, network: str | Path) -> str:
        """File of another row's network, by the row's name; a file is that itself."""
        return str(self.sibling(network) / MODEL_FILE if isinstance(network, str) else network)


def rows_of(part: str, *, sizes: Sequence[str], hosts: Sequence[str]) -> list[Row]:
    """Every row that a part needs, each after those it needs.

    A comparison needs its baselines, so these come with it, first.

    Args:
        part: One of `PARTS`.
        sizes: Names in `SIZES`, in this order.
        hosts: Names in `HOSTS`, in this order.

    Raises:
        InputError: An unknown name, or nothing is declared for these.
    """
    for name, known in (*((s, SIZES) for s in sizes), *((h, HOSTS) for h in hosts)):
        if name not in known:
            raise InputError(f"there is no {name!r}; {nearest(name, known)}")
    if part not in PARTS:
        raise InputError(f"there is no part {part!r}; {nearest(part, PARTS)}")
    if part in OF_OWN_NETWORKS:
        return OF_OWN_NETWORKS[part]()
    places = [(size, host) for size in sizes for host in hosts if size in HOSTS[host].sizes]
    if not places:
        trained = "; ".join(f"{host} at {', '.join(HOSTS[host].sizes)}" for host in hosts)
        raise InputError(f"nothing is declared at {', '.join(sizes)}; {trained}")
    return [row for size, host in places for row in _rows_at(part, size, host)]


def only(rows: Sequence[Row], names: Sequence[str]) -> list[Row]:
    """The named rows and what they need.

    Args:
        rows: To choose from.
        names: Names, or what `slug` makes of them.

    Raises:
        InputError: An unknown name.
    """
    slugs = {slug(row.name) for row in rows}
    for name in names:
        if slug(name) not in slugs:
            known = list(dict.fromkeys(row.name for row in rows))
            raise InputError(f"there is no row {name!r}; {nearest(name, known)}")
    wanted = {slug(name) for name in names}
    while True:
        needed = {slug(name) for row in rows if slug(row.name) in wanted for name in row.needs}
        if needed <= wanted:
            return [row for row in rows if slug(row.name) in wanted]
        wanted |= needed


def plan_runs(rows: Sequence[Row], *, seeds: Sequence[int], epochs: int, out: Path) -> list[Run]:
    """The grid in the order of training: size by size, host by host, seed by seed, row by row.

    A study that is stopped early so has whole seeds of whole comparisons.

    Args:
        rows: From `rows_of`; of one size and host they stand in the order of training.
        seeds: Of every row.
        epochs: Of every row, before its own `length`.
        out: The study's folder.
    """
    places = list(dict.fromkeys((row.size, row.host) for row in rows))
    return [
        Run(row, seed, epochs, _folder(out, row, epochs) / f"seed_{seed}")
        for place in places
        for seed in seeds
        for row in rows
        if (row.size, row.host) == place
    ]


def recipe_of(
    run: Run, *, data: Path, num_images: int, threads: int | None, resident: bool = False
) -> Recipe:
    """Everything written out for the trainer.

    Args:
        run: What is trained.
        data: Folder in CamVid's layout whose pictures have the row's size.
        num_images: For training.
        threads: Of the processor; None for torch's own number.
        resident: Keep the training images on the device, for a GPU.

    Raises:
        InputError: The base or the row is no recipe.
    """
    row, size = run.row, SIZES[run.row.size]
    base = load_recipe(BASE).model_dump()
    sections = {name: values for name, values in base.items() if isinstance(values, dict)}
    changes = combined(_host_changes(row), row.changes)
    batch_size = combined(sections, changes)["training"]["batch_size"]
    steps = max(1, num_images // batch_size)
    epochs = row.epochs(run.epochs)
    common: dict[str, dict[str, Any]] = {
        "data": {
            "root": str(data),
            "crop_size": size.picture,
            "input_scale": 0.5,
            "resident": resident,
        },
        "training": {
            "max_epochs": epochs,
            "eval_every": steps * math.ceil(epochs / EVALUATIONS),
            "checkpoint_every": steps * math.ceil(epochs / CHECKPOINTS),
        },
        "runtime": {"threads": threads},
    }
    taught: dict[str, dict[str, Any]] = {}
    if row.teacher is not None:
        taught["distillation"] = {"teacher": run.weights_of(row.teacher)}
    if row.begins_with is not None:
        taught["training"] = {"init_weights": run.weights_of(row.begins_with)}
    settings = {**base, **combined(sections, common, changes, taught), "seed": run.seed}
    return check_recipe(settings, origin=f"row {row.name}")


def _folder(out: Path, row: Row, epochs: int) -> Path:
    return out / "runs" / f"{epochs}_epochs" / row.size / row.host / slug(row.name)


def _host_changes(row: Row) -> Changes:
    if row.host == OWN_NETWORK:
        return {}
    host = HOSTS[row.host]
    rates = fitted_rates(row.size, host.output_stride, is_full_input=row.is_full_input)
    model: dict[str, Any] = {"atrous_rates": rates}
    if (pretrained := pretrained_file(host)) is not None:
        model["pretrained"] = str(pretrained)
    return combined(host.changes, {"model": model})


def _rows_at(part: str, size: str, host: str) -> list[Row]:
    """A row begins with its host's weights unless it says what else it begins with."""
    rows = _declared_at(part, size, host)
    weights = HOSTS[host].weights
    return [row if row.begins_with else replace(row, begins_with=weights) for row in rows]


def _declared_at(part: str, size: str, host: str) -> list[Row]:
    ablation = ablation_rows(size, host)
    if part == "ablation":
        return ablation
    own = variant_rows(size, host) if part == "variants" else beyond_rows(size, host)
    needed = {name for row in own for name in (*row.needs, *row.against)}
    shared = [row for row in ablation if row.name in needed]
    return [*(_against_those(needed, row) for row in shared), *own]


def _against_those(names: set[str], row: Row) -> Row:
    return replace(row, against=tuple(each for each in row.against if each in names))
