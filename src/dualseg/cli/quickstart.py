"""`dualseg quickstart`"""

from pathlib import Path
from typing import Annotated

import typer

from dualseg.cli.console import TrainingProgress, print_json, say
from dualseg.cli.options import Json

EXAMPLE = "Example: dualseg quickstart --out my-first-run"
VARIANTS = ("low label", "+SSSR", "+SSSR +SISR +FA")
PREDICTIONS = "predictions"


def quickstart(
    out: Annotated[Path, typer.Option("--out", help="Folder for the runs and the report.")] = Path(
        "dualseg-quickstart"
    ),
    json: Json = False,
) -> None:
    """Train one network three ways on embedded street scenes and compare them. No download."""
    from dualseg.cli.grid import print_rows, require_place, train_grid, write_grid
    from dualseg.cli.many import require_one_process
    from dualseg.cli.quickstart_pictures import predict_some
    from dualseg.config import load_recipe
    from dualseg.training.ablation import plan_ablation

    require_one_process("quickstart")
    require_place(out, folder=PREDICTIONS)
    plan = plan_ablation(load_recipe("quickstart"), out, variants=VARIANTS)
    say("one network, three ways; all see street scenes at 96x128 and are scored at 192x256")
    train_grid(plan, lambda label: TrainingProgress(label))
    table = write_grid(plan, out, title="Quickstart: one network, three ways")
    predict_some(plan[-1], out / PREDICTIONS)
    if json:
        print_json(table)
        return
    print_rows(table)
    say(f"predictions: {out / PREDICTIONS}")
    print(table["report"])
