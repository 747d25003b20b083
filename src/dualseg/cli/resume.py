"""`dualseg resume`"""

from typing import Annotated

import typer

from dualseg.cli.console import TrainingProgress
from dualseg.cli.many import one_voice
from dualseg.cli.options import Json, Run, Set
from dualseg.cli.train import show_result

EXAMPLE = "Example: dualseg resume runs/camvid --set training.max_epochs=60"


def resume(
    run: Run,
    set_: Set = None,
    allow_changed: Annotated[
        bool,
        typer.Option(
            "--allow-changed",
            help="Go on though keys differ that make it another run; they are shown and noted.",
        ),
    ] = False,
    json: Json = False,
) -> None:
    """Go on exactly where a run stopped, also when it was killed."""
    from dualseg.cli.run_report import finish_run
    from dualseg.training.trainer import resume as resume_network

    with one_voice() as processes:
        with TrainingProgress() as progress:
            result = resume_network(
                run,
                overrides=set_ or (),
                allow_changed=allow_changed,
                progress=progress,
                processes=processes,
            )
        if processes.is_first:
            report = finish_run(run)
            show_result(run, result.step, result.best_miou, report, as_json=json)
