"""`dualseg ablate`"""

from pathlib import Path
from typing import Annotated

import typer

from dualseg.cli.console import TrainingProgress, print_json, say
from dualseg.cli.options import Data, Json, Out, Set

EXAMPLE = "Example: dualseg ablate camvid_dsrl --data CamVid --seeds 3 --out runs/ablation"


def ablate(
    recipe: Annotated[
        str, typer.Argument(metavar="RECIPE", help="A file, or a packaged recipe's name.")
    ],
    out: Out,
    data: Data = None,
    seeds: Annotated[int, typer.Option("--seeds", min=1, help="Runs of each variant.")] = 1,
    variants: Annotated[
        str | None,
        typer.Option(
            "--variants",
            help="Comma-separated; all five where not given: low_label (or baseline), full_label, "
            "sssr (or +SSSR), sssr_sisr (or +SISR), sssr_sisr_fa (or +FA).",
        ),
    ] = None,
    set_: Set = None,
    json: Json = False,
) -> None:
    """Train baseline, +SSSR, +SISR, +FA with equal budgets. Stopped, it goes on where it was.

    There are two baselines: the paper's, whose labels are shrunk to the input's size ("low label"),
    and one that is given them in full ("full label").
    """
    from dualseg.cli.grid import print_rows, require_place, train_grid, write_grid
    from dualseg.cli.many import require_one_process
    from dualseg.cli.recipes import read_recipe
    from dualseg.training.ablation import plan_ablation

    require_one_process("ablate")
    require_place(out)
    chosen = [name.strip() for name in variants.split(",")] if variants else None
    settings = read_recipe(recipe, data, set_)
    plan = plan_ablation(settings, Path(out), variants=chosen, num_seeds=seeds)
    train_grid(plan, lambda label: TrainingProgress(label))
    table = write_grid(plan, Path(out), title=f"Ablation of {recipe}")
    if json:
        print_json(table)
    else:
        print_rows(table)
        say("protocol: whole images, native resolution, last checkpoint, nothing chosen on val")
        print(table["report"])
