import pytest

from dualseg.cli import rehearsals
from dualseg.training.rehearsal import LrCurve


@pytest.mark.parametrize(("out", "plot"), [(".", "here_lr.svg"), ("runs/a", "here/runs/a_lr.svg")])
def test_the_curve_of_a_rate_test_lies_beside_the_run_whatever_its_name(
    dualseg, recipe, street, tmp_path, monkeypatch, out, plot
):
    curve = LrCurve(((1e-6, 1.0), (1e-3, 0.9), (1e-1, 0.5), (1.0, 0.7)), suggestion=1e-3)
    monkeypatch.setattr(rehearsals, "find_lr", lambda *_, **__: curve)
    (tmp_path / "here").mkdir()
    monkeypatch.chdir(tmp_path / "here")
    tried = dualseg("train", recipe, "--data", street, "--out", out, "--find-lr", "--json")
    assert tried.code == 0, tried.stderr
    assert tried.json["lr"] == 1e-3
    assert (tmp_path / plot).read_text().startswith("<svg")
