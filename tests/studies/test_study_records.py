"""Records: finished runs without their networks, made-up ones."""

import json
import shutil
from pathlib import Path

import pytest

import camvid
from camvid_study.ledger import Ledger, Session, read_ledger
from camvid_study.plan import Run, only, plan_runs, recipe_of, rows_of
from camvid_study.records import write_records
from dualseg.core.errors import InputError

COMMAND = "python studies/camvid.py --data /me/CamVid --rows 'low label,full label' --out=/me/study"


def runs_in(out: Path) -> list[Run]:
    rows = rows_of("best", sizes=[], hosts=[])
    return plan_runs(only(rows, ["whole pictures after small crops"]), seeds=[0], epochs=9, out=out)


def finish(
    run: Run, out: Path, *, started: str = "2026-01-01T00:00:00+00:00", data: str | None = None
) -> None:
    """As if it had been trained and scored, then stripped of its network."""
    run.folder.mkdir(parents=True)
    ledger = Ledger(out, data=data)
    recipe = recipe_of(run, data=Path("/data"), num_images=16, threads=1)
    ledger.begin(run, recipe, Session(COMMAND, "abc", "a machine", started))
    ledger.end(run, seconds=60.0, finished=True)
    (run.folder / "scores.json").write_text(json.dumps({"miou": 0.5}))
    (run.folder / "metrics.jsonl").write_text('{"step": 1}\n')
    (run.folder / "config.yaml").write_text("data: {root: /home/me/CamVid}\n")


def test_records_have_scores_and_curves_and_no_place_of_this_machine(tmp_path: Path):
    out, target = tmp_path / "study", tmp_path / "records"
    first, second = runs_in(out)
    finish(first, out)
    Ledger(out).begin(
        second,
        recipe_of(second, data=Path("/data"), num_images=16, threads=1),
        Session(COMMAND, "abc", "a machine", "later"),
    )

    assert write_records(out, target) == 1

    files = sorted(p.relative_to(target).as_posix() for p in target.rglob("*") if p.is_file())
    folder = "runs/9_epochs/180x240/small/every_stride_on_small_crops/seed_0"
    assert files == ["rows.jsonl", f"{folder}/metrics.jsonl", f"{folder}/scores.json"]
    (entry,) = read_ledger(target).values()
    assert entry.sessions[0].command == (
        "python studies/camvid.py --data CamVid --rows 'low label,full label' --out=study"
    )
    assert entry.seconds == 60.0


def test_records_of_another_session_are_added_to(tmp_path: Path):
    target = tmp_path / "records"
    for name, number in (("one", 0), ("two", 1)):
        out = tmp_path / name
        finish(runs_in(out)[number], out)
        assert write_records(out, target) == 1
        assert write_records(out, target) == 0

    assert [entry.name for entry in read_ledger(target).values()] == [
        "every stride on small crops",
        "whole pictures after small crops",
    ]


def test_latencies_are_replaced_as_a_whole_and_only_by_others(tmp_path: Path):
    out, target = tmp_path / "study", tmp_path / "records"
    finish(runs_in(out)[0], out)
    for rows in ({"one": 1}, {"two": 2}):
        (out / "latency.json").write_text(json.dumps({"rows": rows}))
        write_records(out, target)
    (out / "latency.json").unlink()

    write_records(out, target)

    assert json.loads((target / "latency.json").read_text()) == {"rows": {"two": 2}}


def test_a_run_that_is_there_already_is_not_replaced(tmp_path: Path):
    target = tmp_path / "records"
    for name, day in (("one", "monday"), ("two", "tuesday")):
        finish(runs_in(tmp_path / name)[0], tmp_path / name, started=day)
    write_records(tmp_path / "one", target)
    before = (target / "rows.jsonl").read_bytes()

    with pytest.raises(InputError, match=r"has another runs/9_epochs.*; remove its line"):
        write_records(tmp_path / "two", target)
    assert (target / "rows.jsonl").read_bytes() == before


def test_records_of_other_pictures_are_kept_apart(tmp_path: Path):
    target = tmp_path / "records"
    for number, data in enumerate(["camvid", "fold"]):
        out = tmp_path / data
        finish(runs_in(out)[number], out, data=data)
    write_records(tmp_path / "camvid", target)
    before = (target / "rows.jsonl").read_bytes()

    with pytest.raises(InputError, match="has other pictures in train or val"):
        write_records(tmp_path / "fold", target)
    assert (target / "rows.jsonl").read_bytes() == before


def test_nothing_finished_is_said(tmp_path: Path, capsys: pytest.CaptureFixture[str]):
    arguments = ["--out", str(tmp_path / "study"), "--records", str(tmp_path / "records")]

    assert camvid.main(arguments) == 2
    assert "is finished yet" in capsys.readouterr().err
    assert not (tmp_path / "records").exists()


@pytest.mark.parametrize("option", ["--records", "--ceiling", "--dry-run"])
def test_a_file_where_a_folder_is_to_be_made_is_said(
    option: str, tiny_camvid: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
):
    study, blocked = tmp_path / "study", tmp_path / "file" / "below"
    finish(runs_in(study)[0], study)
    blocked.parent.touch()
    records = ["--records", str(blocked), "--out", str(study)]
    arguments = records if option == "--records" else [option, "--out", str(blocked)]

    code = camvid.main([*arguments, "--data", str(tiny_camvid)])

    said = capsys.readouterr().err
    assert (code, said.count("\n")) == (2, 1)
    assert said.startswith("error: ")


def test_a_copy_of_records_goes_on_and_says_which_network_it_lacks(
    tiny_camvid: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
):
    out, target, copy = tmp_path / "study", tmp_path / "records", tmp_path / "copy"
    finish(runs_in(out)[0], out)
    write_records(out, target)
    shutil.copytree(target, copy)
    rows = ["--part", "best", "--rows", "whole pictures after small crops", "--no-estimate"]
    arguments = ["--data", str(tiny_camvid), "--epochs", "9", "--seeds", "0", *rows]

    assert camvid.main([*arguments, "--out", str(copy)]) == 2
    said = capsys.readouterr().err
    assert "seed_0/model.safetensors, whose row is finished and whose network is not" in said
    assert "remove its line from rows.jsonl" in said


def test_measuring_networks_where_there_are_records_alone_says_so(
    tmp_path: Path, tiny_camvid: Path, capsys: pytest.CaptureFixture[str]
):
    out = tmp_path / "study"
    finish(runs_in(out)[0], out)
    given = ["--out", str(out), "--networks", "--data"]

    assert camvid.main([*given, str(tiny_camvid)]) == 2
    assert "no network of a finished run lies in" in capsys.readouterr().err
    assert camvid.main([*given, str(tmp_path / "nowhere")]) == 2
    assert "nowhere" in capsys.readouterr().err
