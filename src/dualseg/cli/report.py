"""`dualseg report`"""

from dualseg.cli.console import print_json
from dualseg.cli.options import Json, Run

EXAMPLE = "Example: dualseg report runs/camvid"


def report(run: Run, json: Json = False) -> None:
    """Rebuild report.html of a run from its folder."""
    from dualseg.training.run_folder import require_run
    from dualseg.visual.report import write_report

    require_run(run)
    path = write_report(run)
    if json:
        print_json({"run": str(run), "report": str(path)})
    else:
        print(path)
