"""The study of DSRL on CamVid; docs/study.md explains question, method and rows.

    python studies/camvid.py --data CAMVID --out OUT [--part ablation] [--seeds 0,1,2] [--minutes N]
    python studies/camvid.py --out OUT --latency           # on an idle machine
    python studies/camvid.py --out OUT --ceiling --data CAMVID
    python studies/camvid.py --out OUT --networks --data CAMVID
    python studies/camvid.py --out NEW --fold 0006R0 --data CAMVID
    python studies/camvid.py --out OUT --tables [--data CAMVID]
    python studies/camvid.py --out OUT --records RECORDS

The first trains what is missing. It can be stopped at any time and started again: what is finished
is kept, what was stopped goes on exactly. `OUT/rows.jsonl` says of every row with which command,
commit, seed and machine it was made, and how long it took.
"""

import argparse
import math
import shlex
import sys
from pathlib import Path

from camvid_study.folds import fold_hosts, is_fold
from camvid_study.hosts import HOSTS
from camvid_study.plan import OF_OWN_NETWORKS, PARTS, only, plan_runs, rows_of
from camvid_study.rows import SIZES, Row
from dualseg.core.errors import InputError
from dualseg.core.files import make_folder
from dualseg.training.interruption import Interrupted


def main(arguments: list[str]) -> int:
    """Exit code: 0, also when only the time was up; 2 for a fault of the input, 130 for Ctrl-C."""
    options = read_options(arguments)
    out = options.out.resolve()
    try:
        if options.tables:
            from camvid_study.report import write_report

            _require_same_data(options.data, out)
            print(write_report(out, data=options.data))
        elif options.records is not None:
            from camvid_study.records import write_records

            added = write_records(out, options.records)
            print(f"{options.records}: {added} runs added")
        elif options.fold is not None:
            print(write_fold(options.data, options.fold, out))
        elif options.ceiling:
            print_ceiling(options.data, out)
        elif options.networks:
            print_network_tables(options.data, out)
        elif options.latency:
            from camvid_study.latency import measure_rows

            measure_rows(out, threads=options.threads, even_if_busy=options.even_if_busy)
        else:
            train_part(options, out, ["python", "studies/camvid.py", *arguments])
    except InputError as error:
        print(f"error: {error}", file=sys.stderr)
        return 2
    except Interrupted as stopped:
        print(f"{stopped}; the same command goes on", file=sys.stderr)
        return stopped.exit_code
    except KeyboardInterrupt:
        print("interrupted; the same command goes on", file=sys.stderr)
        return 130
    return 0


def read_options(arguments: list[str]) -> argparse.Namespace:
    """What stands on the command line."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    add = parser.add_argument
    add("--out", type=Path, required=True, help="folder of the study, outside the repository")
    add("--data", type=Path, help="CamVid in the layout of the SegNet tutorial")
    add("--part", choices=PARTS, default="ablation")
    add(
        "--rows",
        type=_texts,
        help="only these rows and what they need, comma-separated; by name or by folder",
    )
    add("--sizes", type=_texts, help=f"inputs, of {', '.join(SIZES)}; small first where not given")
    add("--hosts", type=_texts, help=f"of {', '.join(HOSTS)}; all in part ablation, else the first")
    add("--seeds", type=_seeds, default=[0, 1, 2], help="comma-separated; 0,1,2")
    add("--epochs", type=_from_one, default=60, help="of every row")
    add("--minutes", type=_minutes, help="stop by itself after so long")
    add("--threads", type=_from_one, help="of the processor")
    add("--resident", action="store_true", help="training images on the device, for a GPU")
    add("--keep-checkpoints", action="store_true", help="also of finished runs")
    add("--no-estimate", action="store_true", help="begin without timing a few steps of each row")
    add("--even-if-busy", action="store_true", help="measure latency beside other work")
    act = parser.add_mutually_exclusive_group().add_argument
    act("--dry-run", action="store_true", help="list what is missing and train nothing")
    act("--tables", action="store_true", help="tables, plots and crops of what is finished")
    act("--records", type=Path, metavar="DIR", help="add what is finished, without the networks")
    act("--ceiling", action="store_true", help="what a perfect answer at low size would score")
    act("--networks", action="store_true", help="measure finished networks at hand: where, and why")
    act("--fold", metavar="DRIVE", help="write to --out the data with a training drive as val")
    act("--latency", action="store_true", help="measure the networks of finished rows, in turns")
    return parser.parse_args(arguments)


def train_part(options: argparse.Namespace, out: Path, command: list[str]) -> None:
    """Trains what is missing of one part, as far as the time allows."""
    from camvid_study.data import StudyData
    from camvid_study.ledger import Ledger, new_session
    from camvid_study.pace import estimate_hours, rehearsed_hours
    from camvid_study.running import Clock, run_grid, train_or_resume
    from camvid_study.scoring import finish_run
    from dualseg.cli.console import say

    if options.data is None:
        raise InputError("training needs --data DIR, CamVid in the layout of the SegNet tutorial")
    clock = Clock(None if options.minutes is None else 60 * options.minutes)
    runs = plan_runs(_rows(options), seeds=options.seeds, epochs=options.epochs, out=out)
    make_folder(out)
    data = StudyData(options.data, out, options.threads, resident=options.resident)
    ledger = Ledger(out, data=data.digest)
    ledger.require_same_data()
    if options.dry_run:
        for run in runs:
            print(f"{'finished' if ledger.is_finished(run) else 'missing '} {run.label}")
        return
    missing = sum(not ledger.is_finished(run) for run in runs)
    say(f"{missing} of {len(runs)} runs are missing")
    if not options.no_estimate:
        hours = estimate_hours(
            runs,
            ledger.entries,
            out=out,
            hours_of=lambda run: rehearsed_hours(run, data.recipe(run)),
        )
        say(f"that is about {hours:.1f} hours here")
    outcome = run_grid(
        runs,
        ledger=ledger,
        recipe_of=data.recipe,
        session=lambda: new_session(shlex.join(command), threads=options.threads),
        clock=clock,
        train_one=train_or_resume,
        finish=lambda run: finish_run(
            run, data.folder(run), keep_checkpoints=options.keep_checkpoints
        ),
        say=say,
    )
    rest = f"; {outcome.missing} are missing, the same command goes on" if outcome.missing else ""
    say(f"finished {outcome.finished} runs{rest}")


def write_fold(data: Path | None, drive: str, out: Path) -> Path:
    """Data for another study, in the folder `out`."""
    from camvid_study.folds import make_fold

    if data is None:
        raise InputError("--fold needs --data DIR, CamVid in the layout of the SegNet tutorial")
    return make_fold(data, drive, out)


def print_ceiling(data: Path | None, out: Path) -> None:
    """Of CamVid's val split, at both answers' places."""
    from camvid_study.ceiling import write_ceiling
    from dualseg.data.datasets.camvid import open_camvid

    if data is None:
        raise InputError("--ceiling needs --data DIR, CamVid in the layout of the SegNet tutorial")
    make_folder(out)
    for name, scores in write_ceiling(open_camvid(data, "val"), out).items():
        classes = ", ".join(f"{key} {value:.3f}" for key, value in scores["iou"].items() if value)
        print(f"{name}: mIoU {scores['miou']:.4f} ({classes})")


def print_network_tables(data: Path | None, out: Path) -> None:
    """Of the finished networks that lie there, on CamVid's val split."""
    from camvid_study.network_tables import write_network_tables

    if data is None:
        raise InputError("--networks needs --data DIR, CamVid in the layout of the SegNet tutorial")
    _require_same_data(data, out)
    print(write_network_tables(out, data))


def _require_same_data(data: Path | None, out: Path) -> None:
    """The finished runs were trained and scored on these pictures."""
    from camvid_study.ledger import Ledger
    from camvid_study.splits import split_digest

    if data is not None:
        Ledger(out, data=split_digest(data)).require_same_data()


def _rows(options: argparse.Namespace) -> list[Row]:
    """Ablation covers all sizes and hosts; the other parts one each, unless more are named."""
    if options.part in OF_OWN_NETWORKS and (options.sizes or options.hosts):
        raise InputError(
            f"part {options.part} has a size and networks of its own; leave out --sizes and --hosts"
        )
    is_whole = options.part == "ablation"
    hosts = options.hosts or (list(HOSTS) if is_whole else list(HOSTS)[:1])
    if is_fold(options.data):
        hosts = _fold_hosts(hosts, are_named=options.hosts is not None)
    declared = [s for s in SIZES if any(s in HOSTS[h].sizes for h in hosts if h in HOSTS)]
    sizes = options.sizes or (declared if is_whole else declared[:1])
    rows = rows_of(options.part, sizes=sizes, hosts=hosts)
    return rows if options.rows is None else only(rows, options.rows)


def _fold_hosts(hosts: list[str], *, are_named: bool) -> list[str]:
    """Hosts that have not seen the held-out drive; others are refused where they were asked for."""
    possible = fold_hosts(hosts)
    if left_out := ", ".join(host for host in hosts if host not in possible):
        reason = "there are released networks, trained on the drive that this fold holds out"
        if are_named:
            usable = ", ".join(fold_hosts(list(HOSTS)))
            raise InputError(f"in the rows of {left_out} {reason}; --hosts may be {usable}")
        print(f"without {left_out}: in its rows {reason}", file=sys.stderr)
    return possible


def _texts(text: str) -> list[str]:
    found = [part.strip() for part in text.split(",") if part.strip()]
    if not found:
        raise argparse.ArgumentTypeError("nothing is named; leave the option out instead")
    return found


def _seeds(text: str) -> list[int]:
    return [_whole_number(part, fewest=0) for part in _texts(text)]


def _from_one(text: str) -> int:
    return _whole_number(text, fewest=1)


def _whole_number(text: str, *, fewest: int) -> int:
    number = int(text) if text.removeprefix("-").isdecimal() else None
    if number is None or number < fewest:
        raise argparse.ArgumentTypeError(f"{text!r} is no whole number from {fewest} on")
    return number


def _minutes(text: str) -> float:
    try:
        minutes = float(text)
    except ValueError:
        minutes = math.nan
    if not 0 <= minutes < math.inf:
        raise argparse.ArgumentTypeError(f"{text!r} is no number of minutes from 0 on")
    return minutes


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
