"""`dualseg quickstart` and `dualseg ablate`: what is in the way is said before the training."""

import pytest

from dualseg.cli.grid import require_place


def fill(out, name):
    """Puts something under the name; a name that ends in a slash is a folder with a file in it."""
    place = out / name
    if name.endswith("/"):
        place.mkdir(parents=True)
        (place / "mine.txt").write_text("mine")
    else:
        place.parent.mkdir(parents=True, exist_ok=True)
        place.write_text("mine")


@pytest.mark.parametrize(
    ("names", "says"),
    [
        (["report.html/"], "report.html is in the way of the file of that name"),
        (["table.md/"], "table.md is in the way of the file of that name"),
        (["predictions"], "predictions is in the way of the folder of that name"),
        (["report.html"], "report.html would be replaced"),
        (["predictions/"], "predictions would be replaced"),
        (["sssr/seed_0/", "predictions"], "predictions is in the way of the folder of that name"),
    ],
)
def test_what_is_in_the_way_is_said_before_the_training(dualseg, tmp_path, names, says):
    out = tmp_path / "out"
    for name in names:
        fill(out, name)
    before = sorted(out.rglob("*"))
    done = dualseg("quickstart", "--out", out)
    assert (done.code, done.stdout) == (2, "")
    assert says in done.stderr
    assert sorted(out.rglob("*")) == before


def test_a_file_is_no_folder_for_an_ablation(dualseg, recipe, street, tmp_path):
    fill(tmp_path, "out")
    done = dualseg("ablate", recipe, "--data", street, "--out", tmp_path / "out")
    assert done.code == 2
    assert "out is a file; name a folder" in done.stderr


def test_results_of_an_earlier_call_are_not_in_the_way(tmp_path):
    for name in ("low_label/seed_0/", "report.html", "table.md", "ablation.json", "predictions/"):
        fill(tmp_path, name)
    require_place(tmp_path, folder="predictions")


def test_an_empty_folder_for_predictions_is_not_in_the_way(tmp_path):
    (tmp_path / "predictions").mkdir()
    require_place(tmp_path, folder="predictions")
