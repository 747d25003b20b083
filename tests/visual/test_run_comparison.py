"""Finished runs side by side on one page, and the command that makes it."""

import json
import re
from collections.abc import Callable
from pathlib import Path

import pytest
from PIL import Image
from typer.testing import CliRunner

from dualseg.cli.main import app
from dualseg.core.errors import InputError
from dualseg.visual.budget import PictureBudget
from dualseg.visual.compared_runs import open_runs, short_names
from dualseg.visual.run_comparison import verdicts, wanted_images, write_run_comparison

MakeRun = Callable[..., Path]
EVIL = "<script>alert(1)</script>"


@pytest.fixture
def two_runs(make_run: MakeRun) -> list[Path]:
    """`plain` and a better `dual`, with every extra score."""
    return [
        make_run("plain", extra=True, mious=(0.4, 0.5, 0.6, 0.9), resampled=(0.5, 0.6)),
        make_run("dual", extra=True, wrong=0, mious=(0.6, 0.5, 0.7, 0.8), resampled=(0.8, 0.9)),
    ]


def page_of(folders: list[Path], tmp_path: Path) -> str:
    return write_run_comparison(tmp_path / "page.html", open_runs(folders)).read_text("utf-8")


def test_page_shows_scores_intervals_differences_classes_and_pictures(
    two_runs: list[Path], tmp_path: Path
) -> None:
    html = page_of(two_runs, tmp_path)
    plain = (384 / 576 + 576 / 768) / 2
    assert f"dual against plain: +{1 - plain:.3f} (+0.300 to +0.300) in mIoU" in html
    assert f">{plain:.3f}<" in html
    assert "0.401 to 0.602" in html
    for title in ("Boundaries", "Small and large objects", "How sure, how right", "Classes"):
        assert f">{title}</h2>" in html
    assert html.count("<polyline") == 2 + 2 + 2  # mIoU, loss and reliability of two runs
    assert html.count('<table class="confusion"') == 2
    assert "<h3>image_1</h3>" in html.partition(">Worst images of dual</h2>")[2]
    # image_0 and image_2 gain, image_3 loses; the runs keep pictures of all.
    gains, losses = html.index(">Largest gains</h2>"), html.index(">Largest losses</h2>")
    assert gains < html.index("<h3>image_0</h3>") < html.index("<h3>image_2</h3>") < losses
    assert losses < html.index("<h3>image_3</h3>")
    assert "mIoU −0.100" in html


def test_wanted_images_are_those_of_the_largest_gains_and_losses(two_runs: list[Path]) -> None:
    assert wanted_images(open_runs(two_runs)) == ["image_0", "image_2", "image_3"]
    assert wanted_images(open_runs(two_runs), 1) == ["image_0", "image_3"]


def test_the_first_run_is_the_baseline(two_runs: list[Path]) -> None:
    (sentence,) = verdicts(open_runs(two_runs[::-1]))
    assert sentence.startswith("plain against dual: −")


def test_a_difference_that_may_be_chance_is_said_to_be(make_run: MakeRun) -> None:
    runs = open_runs(
        [make_run("a", mious=(0.1, 0.2, 0.3, 0.4)), make_run("b", mious=(0.2, 0.1, 0.5, 0.3))]
    )
    (sentence,) = verdicts(runs)
    assert "in mIoU per image, over 4 images" in sentence
    assert "the interval holds 0, so the images do not tell the two apart" in sentence


def test_runs_without_extra_scores_leave_their_parts_out(make_run: MakeRun, tmp_path: Path) -> None:
    html = page_of([make_run("a"), make_run("b", trained=False)], tmp_path)
    for title in ("Boundaries", "Small and large objects", "How sure, how right"):
        assert title not in html
    assert "95 % interval</th>" not in html


def test_scores_that_one_of_two_runs_has_say_whose_they_are(
    make_run: MakeRun, tmp_path: Path
) -> None:
    html = page_of([make_run("bare"), make_run("scored", extra=True)], tmp_path)
    for title in ("Boundaries", "Small and large objects"):
        part = html.partition(f">{title}</h2>")[2].partition("</section>")[0]
        legend = part.partition('class="legend"')[2].partition("<table")[0]
        assert "scored" in legend
        assert "bare" not in legend


def test_runs_on_other_images_stand_side_by_side_without_a_difference(
    make_run: MakeRun, tmp_path: Path
) -> None:
    runs = [make_run("a"), make_run("b")]
    path = runs[1] / "evaluation" / "evaluation.json"
    path.write_text(path.read_text().replace("image_3", "image_4"))
    html = page_of(runs, tmp_path)
    assert "b and a were not scored on the same images" in html
    assert "against a</th>" not in html


def test_pictures_of_one_name_in_other_data_are_not_set_against_each_other(
    make_run: MakeRun, tmp_path: Path
) -> None:
    folders = [make_run("a"), make_run("b", mious=(0.6, 0.4, 0.5, 0.5))]
    evaluation = folders[1] / "evaluation"
    path = evaluation / "evaluation.json"
    content = json.loads(path.read_text())
    path.write_text(json.dumps(content | {"pixels_per_class": [9, 9, 0]}))
    for picture in (evaluation / "gallery").glob("*.png"):
        with Image.open(picture) as image:
            image.resize((60, 40), Image.Resampling.NEAREST).save(picture)
    html = page_of(folders, tmp_path)
    for title in ("Largest gains", "Largest losses", "Details gained", "Details lost"):
        assert f">{title}</h2>" not in html
    assert wanted_images(open_runs(folders)) == []


def test_only_recipe_keys_that_differ_are_shown(two_runs: list[Path], tmp_path: Path) -> None:
    (two_runs[1] / "config.yaml").write_text("seed: 4\nmodel: {name: fcn, backbone: resnet18}\n")
    html = page_of(two_runs, tmp_path)
    assert "<code>seed</code></th><td>3</td><td>4</td>" in html
    assert "<code>model.name</code>" not in html


def test_every_text_is_escaped(make_run: MakeRun, tmp_path: Path) -> None:
    names = (EVIL, "a & b", "c")
    runs = [
        make_run("a", extra=True, class_names=names),
        make_run("b&c", extra=True, class_names=names, mious=(0.6, 0.4, 0.5, 0.5)),
    ]
    for run in runs:
        path = run / "evaluation" / "evaluation.json"
        path.write_text(path.read_text().replace("image_0", EVIL.replace("/", "\\/")))
    html = page_of(runs, tmp_path)
    assert "<script" not in html
    assert "b&amp;c" in html
    assert "b&c" not in html
    assert "&lt;script&gt;" in html


def test_names_are_the_shortest_ends_that_differ() -> None:
    paths = [Path("runs/a/seed_0"), Path("runs/b/seed_0")]
    assert short_names(paths) == ["a/seed_0", "b/seed_0"]
    assert short_names([Path("runs/a"), Path("runs/b")]) == ["a", "b"]


def test_what_cannot_be_compared_is_an_input_error(make_run: MakeRun, tmp_path: Path) -> None:
    run, bare = make_run("run"), make_run("bare", evaluated=False)
    other = make_run("other", class_names=("x", "y", "z"))
    with pytest.raises(InputError, match="given twice"):
        open_runs([run, run])
    with pytest.raises(InputError, match="two or more"):
        open_runs([run])
    with pytest.raises(InputError, match=r"bare has no evaluation yet.*dualseg resume"):
        open_runs([run, bare])
    with pytest.raises(InputError, match=r"alone has x, y, z, it lacks road, pole, unseen; comp"):
        open_runs([run, other])
    turned = make_run("turned", class_names=("pole", "road", "unseen"))
    with pytest.raises(InputError, match=r"3 classes, .*run on 3: they stand in another order;"):
        open_runs([run, turned])
    on_test = make_run("on_test")
    path = on_test / "evaluation" / "evaluation.json"
    path.write_text(path.read_text().replace('"split": "val"', '"split": "test"'))
    with pytest.raises(InputError, match=r"on_test was scored on the split test, .*run on val;"):
        open_runs([run, on_test])


@pytest.mark.parametrize(
    "key", ["miou_interval", "calibration", "object_sizes", "boundary_iou", "trimap"]
)
def test_damaged_extra_scores_are_an_input_error(two_runs: list[Path], key: str) -> None:
    path = two_runs[0] / "evaluation" / "evaluation.json"
    content = json.loads(path.read_text())
    path.write_text(json.dumps(content | {key: {"low": "x"}}))
    with pytest.raises(InputError, match=r"evaluation\.json is damaged"):
        open_runs(two_runs)


def test_command_says_what_it_found_and_that_networks_cannot_be_read(
    two_runs: list[Path], tmp_path: Path
) -> None:
    page = tmp_path / "compare.html"
    command = ["report", *map(str, two_runs), "--out", str(page), "--json"]
    for run in two_runs:
        (run / "checkpoints" / "best").mkdir(parents=True)
    done = CliRunner().invoke(app, command)
    assert done.exit_code == 0, done.output
    found = json.loads(done.stdout)
    assert found["report"] == str(page)
    assert [run["name"] for run in found["runs"]] == ["plain", "dual"]
    assert found["runs"][1]["difference"]["measure"] == "mIoU"
    assert found["runs"][0]["miou_interval"] == [0.401, 0.602]
    (said,) = found["notes"]
    assert "Only pictures that the runs keep are shown" in said
    assert "Only pictures that the runs keep are shown" in page.read_text("utf-8")
    kept = CliRunner().invoke(app, [*command, "--kept-only"])
    assert json.loads(kept.stdout)["notes"] == []


def test_command_refuses_what_it_cannot_do(two_runs: list[Path], tmp_path: Path) -> None:
    several = CliRunner().invoke(app, ["report", *map(str, two_runs)])
    assert isinstance(several.exception, InputError)
    assert "--out PAGE.html" in str(several.exception)
    single = CliRunner().invoke(app, ["report", str(two_runs[0]), "--out", str(tmp_path / "x")])
    assert isinstance(single.exception, InputError)
    assert "give a second run" in str(single.exception)


@pytest.mark.parametrize(
    ("place", "says"),
    [
        ("page.html", r"plain no longer has its checkpoint best.*--kept-only"),
        ("missing/page.html", r"there is no folder .*missing; make it first"),
        (".", r"is a folder; give the name of a page"),
        ("weights.json", r"the page is HTML; name it .*weights\.html"),
        ("v1.5", r"the page is HTML; name it .*v1\.5\.html"),
    ],
)
def test_what_stops_a_comparison_is_said_before_it_starts(
    two_runs: list[Path], tmp_path: Path, place: str, says: str
) -> None:
    before = sorted(tmp_path.rglob("*"))
    command = ["report", *map(str, two_runs), "--out", str(tmp_path / place)]
    done = CliRunner().invoke(app, command)
    assert isinstance(done.exception, InputError)
    assert re.search(says, str(done.exception))
    assert sorted(tmp_path.rglob("*")) == before


def test_command_on_one_run_rebuilds_its_report(two_runs: list[Path]) -> None:
    done = CliRunner().invoke(app, ["report", str(two_runs[0]), "--json"])
    assert json.loads(done.stdout) == {
        "run": str(two_runs[0]),
        "report": str(two_runs[0] / "report.html"),
    }


def test_a_full_page_says_what_it_leaves_out(
    two_runs: list[Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    full = page_of(two_runs, tmp_path)
    monkeypatch.setattr("dualseg.visual.run_comparison.PictureBudget", lambda: PictureBudget(4000))
    html = page_of(two_runs, tmp_path)
    assert "The page is full" in html
    assert "image_3" in html
    assert 0 < html.count("<article") < full.count("<article")
    assert len(html) < len(full)
