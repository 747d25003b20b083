"""A drive held out: what the fold holds, and which rows may be trained on it."""

from pathlib import Path

import pytest

import camvid
from camvid_study.folds import make_fold
from camvid_study.ledger import Ledger, Session
from camvid_study.plan import plan_runs, recipe_of, rows_of
from camvid_study.splits import split_digest
from dualseg.core.errors import InputError
from dualseg.data.datasets.camvid import open_camvid


@pytest.fixture
def drives(tiny_camvid: Path) -> Path:
    """The first three pictures of train are of drive one, the others of drive two."""
    for split, kind in (("train", "train"), ("trainannot", "train")):
        for path in sorted((tiny_camvid / split).iterdir()):
            drive = "one" if int(path.stem.removeprefix(f"{kind}_")) < 3 else "two"
            path.rename(path.with_name(f"{drive}_{path.stem}.png"))
    names = sorted(path.name for path in (tiny_camvid / "train").iterdir())
    lines = [f"train/{name} trainannot/{name}\n" for name in names]
    (tiny_camvid / "train.txt").write_text("".join(lines))
    return tiny_camvid


@pytest.fixture
def fold(drives: Path, tmp_path: Path) -> Path:
    return make_fold(drives, "one", tmp_path / "fold")


def test_a_fold_trains_on_the_other_drives(drives: Path, fold: Path, tmp_path: Path):
    train, val = open_camvid(fold, "train"), open_camvid(fold, "val")

    assert {train.name(index)[:3] for index in range(len(train))} == {"two"}
    assert [val.name(index) for index in range(len(val))] == [
        "one_train_000",
        "one_train_001",
        "one_train_002",
    ]
    with pytest.raises(InputError, match="there is no drive 'three'"):
        make_fold(drives, "three", tmp_path / "other")


def dry_run(data: Path, out: Path, *more: str) -> int:
    return camvid.main(["--data", str(data), "--out", str(out), "--seeds", "0", "--dry-run", *more])


def test_on_a_fold_a_host_that_has_seen_its_val_is_refused(
    fold: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
):
    named = ["--hosts", "resnet18,regnety_trained"]

    assert dry_run(fold, tmp_path / "study", *named) == 2

    said = capsys.readouterr()
    assert "in the rows of regnety_trained there are released networks" in said.err
    assert "--hosts may be resnet18, mobilenet_v2, lite0_imagenet" in said.err
    assert said.out == ""


def test_where_no_host_is_named_it_is_left_out_and_said(
    fold: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
):
    assert dry_run(fold, tmp_path / "study") == 0

    said = capsys.readouterr()
    assert said.err.startswith("without regnety_trained: in its rows there are released networks")
    assert "(regnety_trained" not in said.out
    assert "missing  full label (resnet18, 180x240 in, seed 0)" in said.out


def test_the_rest_of_camvid_has_every_host(
    drives: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
):
    assert dry_run(drives, tmp_path / "study", "--hosts", "regnety_trained") == 0

    assert "(regnety_trained, 180x240 in, seed 0)" in capsys.readouterr().out


def test_a_fold_has_no_runs_in_the_folder_of_another_split(
    drives: Path, fold: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
):
    out = tmp_path / "study"
    rows = rows_of("ablation", sizes=["180x240"], hosts=["resnet18"])
    run = plan_runs(rows, seeds=[0], epochs=60, out=out)[0]
    recipe = recipe_of(run, data=drives, num_images=8, threads=None)
    session = Session("python studies/camvid.py", "abc", "a machine", "now")
    Ledger(out, data=split_digest(drives)).begin(run, recipe, session)

    assert dry_run(drives, out) == 0
    capsys.readouterr()

    for action in ("--dry-run", "--networks", "--tables"):
        assert camvid.main(["--data", str(fold), "--out", str(out), action]) == 2
        assert "has other pictures in train or val than these data" in capsys.readouterr().err
