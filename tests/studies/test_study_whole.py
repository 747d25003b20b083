"""The whole path on a few tiny pictures: train, stop, go on, tables, plots, crops."""

import itertools
import json
from pathlib import Path

import pytest

import camvid
from camvid_study import plan, running
from camvid_study.hosts import FITTED_RATES
from camvid_study.ledger import read_ledger
from camvid_study.rows import SIZES, InputSize


@pytest.fixture
def study(tiny_camvid: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """The command's arguments; every run has two steps."""
    monkeypatch.setitem(SIZES, "90x120", InputSize((48, 64), shrunk=True))
    for positions in ((2, 2), (3, 4)):  # the deepest maps of 24x32 and 48x64
        monkeypatch.setitem(FITTED_RATES, positions, (1, 2, 3))
    small = tmp_path / "base.yaml"
    small.write_text(plan.BASE.read_text().replace("batch_size: 8", "batch_size: 4"))
    monkeypatch.setattr(plan, "BASE", small)
    given = {"--data": tiny_camvid, "--out": tmp_path / "out", "--epochs": 1, "--threads": 1}
    chosen = {"--sizes": "90x120", "--hosts": "mobilenet_v2", "--seeds": "0"}
    return [*(str(x) for pair in (given | chosen).items() for x in pair), "--no-estimate"]


ROWS = ["--rows", "low label,full label,+SSSR +SISR +FA,full input"]


def test_a_grid_is_trained_and_then_shown(study: list[str], tmp_path: Path):
    pytest.importorskip("matplotlib")
    out = tmp_path / "out"

    assert camvid.main([*study, *ROWS]) == 0

    entries = read_ledger(out)
    assert [entry.name for entry in entries.values() if entry.finished] == [
        "low label",
        "full label",
        "+SSSR +SISR +FA",
        "full input",
    ]
    first = next(iter(entries.values()))
    assert first.run == "runs/1_epochs/90x120/mobilenet_v2/low_label/seed_0"
    assert first.sessions[0].command.startswith("python studies/camvid.py --data")
    assert "1 threads" in first.sessions[0].machine
    assert not (out / first.run / "checkpoints").exists()
    assert (out / first.run / running.MODEL_FILE).is_file()

    assert camvid.main(["--out", str(out), "--networks", "--data", study[1]]) == 0
    assert all((out / run / "bands.json").is_file() for run in entries)
    learned = [run for run in entries if (out / run / "learned_part.json").exists()]
    assert learned == ["runs/1_epochs/90x120/mobilenet_v2/sssr_sisr_fa/seed_0"]
    measured = (out / learned[0] / "bands.json").stat().st_mtime_ns
    assert camvid.main(["--out", str(out), "--networks", "--data", study[1]]) == 0
    assert (out / learned[0] / "bands.json").stat().st_mtime_ns == measured

    assert camvid.main(["--out", str(out), "--tables", "--data", study[1]]) == 0

    assert "ablation: mobilenet_v2, 90x120 in, 1 epochs" in (out / "tables.md").read_text()
    assert "| +SSSR +SISR +FA | mobilenet\\_v2 | 90x120 | 1 |" in (out / "tables.md").read_text()
    (place,) = json.loads((out / "tables.json").read_text())["places"]
    assert len(place["rows"]) == 4
    assert (out / "plots" / "classes_1_90x120_mobilenet_v2.svg").is_file()
    assert (out / "looks" / "1_90x120_mobilenet_v2.png").is_file()

    assert camvid.main(["--out", str(out), "--records", str(tmp_path / "records")]) == 0

    for name in ("bands.json", "learned_part.json"):
        kept = tmp_path / "records" / learned[0] / name
        assert kept.read_text() == (out / learned[0] / name).read_text()


def test_what_the_time_stopped_goes_on_to_the_same_weights(
    study: list[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    row = ["--rows", "full label"]
    whole = [*study, *row, "--out", str(tmp_path / "whole")]
    assert camvid.main(whole) == 0
    assert camvid.main([*study, *row, "--minutes", "0"]) == 0
    assert read_ledger(tmp_path / "out") == {}

    class OneStep(running.Clock):
        """Over when it is asked after the first step."""

        asked = itertools.count()

        @property
        def is_over(self) -> bool:
            return next(self.asked) > 0

    monkeypatch.setattr(running, "Clock", OneStep)
    assert camvid.main([*study, *row]) == 0
    (stopped,) = read_ledger(tmp_path / "out").values()
    assert not stopped.finished

    monkeypatch.undo()
    monkeypatch.setitem(SIZES, "90x120", InputSize((48, 64), shrunk=True))
    for positions in ((2, 2), (3, 4)):  # the deepest maps of 24x32 and 48x64
        monkeypatch.setitem(FITTED_RATES, positions, (1, 2, 3))
    monkeypatch.setattr(plan, "BASE", tmp_path / "base.yaml")
    assert camvid.main([*study, *row]) == 0
    (finished,) = read_ledger(tmp_path / "out").values()
    assert finished.finished
    assert len(finished.sessions) == 2
    models = [tmp_path / name / finished.run / running.MODEL_FILE for name in ("whole", "out")]
    assert models[0].read_bytes() == models[1].read_bytes()


def test_a_host_of_one_size_needs_no_size_given(
    tiny_camvid: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
):
    given = ["--data", str(tiny_camvid), "--out", str(tmp_path), "--seeds", "0", "--dry-run"]

    assert camvid.main([*given, "--part", "beyond", "--hosts", "regnety_trained"]) == 0

    assert "missing  OHEM on +SSSR (regnety_trained, 180x240 in, seed 0)" in capsys.readouterr().out
