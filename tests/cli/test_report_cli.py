"""`dualseg report` as a command: what is wrong is said in one message, with exit code 2."""

import json
import shutil
from pathlib import Path

import pytest


@pytest.fixture
def runs(dualseg, street, recipe, tmp_path):
    """Two trained runs, scored on four images; the second differs in its seed."""
    folders = [tmp_path / "first", tmp_path / "second"]
    for part in ("images", "masks"):
        files = sorted((street / part).iterdir())
        for split, chosen in (("train", files[:4]), ("val", files[4:])):
            (street / part / split).mkdir()
            for file in chosen:
                file.rename(street / part / split / file.name)
    for seed, run in enumerate(folders):
        done = dualseg("train", recipe, "--data", street, "--out", run, "--set", f"seed={seed}")
        assert done.code == 0, done.stderr
    return folders


def changed(run: Path, name: str, **content: object) -> Path:
    """A copy of the run with other content in its `evaluation.json`."""
    copy = run.with_name(name)
    shutil.copytree(run, copy, symlinks=True)
    path = copy / "evaluation" / "evaluation.json"
    path.write_text(json.dumps(json.loads(path.read_text()) | content))
    return copy


def test_two_trained_runs_are_compared_on_one_page(dualseg, runs, tmp_path):
    page = tmp_path / "compare.html"
    done = dualseg("report", *runs, "--out", page, "--latency", "--json")
    assert done.code == 0, done.stderr
    assert [run["name"] for run in done.json["runs"]] == ["first", "second"]
    assert all(run["latency_ms"] > 0 for run in done.json["runs"])
    assert [run["latency_size"] for run in done.json["runs"]] == [[32, 48], [32, 48]]
    assert done.json["runs"][1]["difference"]["measure"] == "mIoU"
    assert done.json["notes"] == []
    html = page.read_text("utf-8")
    assert html.count(" ms at 32x48</td>") == 2
    for title in ("Classes", "Boundaries", "Small and large objects", "How sure, how right"):
        assert f">{title}</h2>" in html
    assert html.count(">Distance from a boundary</th>") == 2  # accuracy, mIoU
    assert "<code>seed</code></th><td>0</td><td>1</td>" in html
    assert "network input scaled by 0.5" in html


def test_wrong_input_is_one_message_and_leaves_nothing_behind(dualseg, runs, tmp_path):
    first, second = runs
    no_scores = changed(second, "no_scores")
    shutil.rmtree(no_scores / "evaluation")
    no_checkpoints = changed(second, "no_checkpoints")
    shutil.rmtree(no_checkpoints / "checkpoints")
    other_split = changed(second, "other_split", split="test")
    names, ious = ["sky", "road"], {"sky": 0.5, "road": 0.5}
    other_classes = changed(second, "other_classes", class_names=names, iou_per_class=ious)
    begun = tmp_path / "begun"
    begun.mkdir()
    shutil.copy(first / "config.yaml", begun)
    (tmp_path / "pages").mkdir()
    page = tmp_path / "pages" / "compare.html"
    for run, says in (
        (tmp_path / "pages", "holds no run: there is no config.yaml"),
        (no_scores, "has no evaluation yet, so there is nothing to compare; dualseg resume"),
        (no_checkpoints, "no longer has its checkpoint best"),
        (other_split, "was scored on the split test"),
        (other_classes, "it alone has sky, road, it lacks background, foreground"),
        (first, "is given twice"),
    ):
        done = dualseg("report", first, run, "--out", page)
        assert (done.code, done.stdout) == (2, "")
        assert says in " ".join(done.stderr.split())
        assert "Traceback" not in done.stderr
    alone = dualseg("report", begun)
    assert alone.code == 2
    assert "has nothing to show yet" in alone.stderr
    assert list((tmp_path / "pages").iterdir()) == []
    assert not (begun / "report.html").exists()


def test_runs_without_checkpoints_are_compared_by_what_they_keep(dualseg, runs, tmp_path):
    for run in runs:
        shutil.rmtree(run / "checkpoints")
    page = tmp_path / "compare.html"
    assert dualseg("report", *runs, "--out", page, "--kept-only").code == 0
    assert "as the network sees it" in page.read_text("utf-8")


def test_runs_trained_on_a_gpu_are_drawn_and_measured_on_this_machine(
    dualseg, runs, tmp_path, monkeypatch
):
    monkeypatch.setattr("torch.cuda.is_available", lambda: False)
    monkeypatch.setattr("torch.cuda.device_count", lambda: 0)
    for run in runs:
        config = run / "config.yaml"
        text = config.read_text()
        assert "device: auto" in text
        config.write_text(text.replace("device: auto", "device: cuda"))
    page = tmp_path / "compare.html"
    done = dualseg("report", *runs, "--out", page, "--latency", "--json")
    assert done.code == 0, done.stderr
    assert done.json["notes"] == []
    assert all(run["latency_ms"] > 0 for run in done.json["runs"])
    page.unlink()
    elsewhere = dualseg("report", *runs, "--out", page, "--device", "cuda:7")
    assert elsewhere.code == 2
    assert "this machine has no device cuda:7" in " ".join(elsewhere.stderr.split())
    assert not page.exists()
