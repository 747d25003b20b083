"""The report of a run is made from the run folder alone, whatever that holds so far."""

import json
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from html_checks import checked
from PIL import Image

from dualseg.core.errors import InputError
from dualseg.visual.report import write_report

MakeRun = Callable[..., Path]
PICTURES = dict.fromkeys(("input", "truth", "prediction"), "a.png")


def html_of(run: Path) -> str:
    return write_report(run).read_text(encoding="utf-8")


def test_whole_report_shows_score_protocol_curves_classes_and_pictures(make_run: MakeRun) -> None:
    html = html_of(make_run())
    # Road 384 right, 192 claimed wrongly: 384/576; pole 576 of 768; "unseen" has no IoU.
    assert f"{(384 / 576 + 576 / 768) / 2:.3f}" in html
    assert "whole, native resolution, network input scaled by 0.5, bf16" in html
    assert html.count('<svg class="chart"') == 3
    assert html.count("<img") == 8  # best and worst image, four pictures each
    assert "1.23 M in use" in html
    assert "mIoU 0.500 at step 50" in html
    assert "25.0 %" in html  # of the pole pixels are taken for road


def test_report_is_self_contained_and_well_formed(make_run: MakeRun) -> None:
    html = html_of(make_run())
    checker = checked(html)
    assert checker.fetched == []
    assert "script" not in checker.tags
    assert "url(" not in html
    assert "@import" not in html


def test_class_without_pixels_is_named(make_run: MakeRun) -> None:
    assert "No ground-truth pixel in this split: unseen." in html_of(make_run())


def test_every_text_is_escaped(make_run: MakeRun) -> None:
    evil = "<script>alert(1)</script>"
    run = make_run(class_names=(evil, "a & b", "c"))
    (run / "config.yaml").write_text(f"seed: 1\nmodel: {{name: '{evil}', backbone: b}}\n")
    evaluation = run / "evaluation" / "evaluation.json"
    content = json.loads(evaluation.read_text())
    content["gallery"][0]["name"] = evil
    content["protocol"]["name"] = evil
    evaluation.write_text(json.dumps(content))
    html = html_of(run)
    assert "<script" not in html
    assert html.count("&lt;script&gt;alert(1)") >= 5
    assert "script" not in checked(html).tags


@pytest.mark.parametrize(("trained", "evaluated"), [(True, True), (True, False), (False, True)])
def test_missing_parts_are_said_to_be_missing(
    make_run: MakeRun, trained: bool, evaluated: bool
) -> None:
    html = html_of(make_run(trained=trained, evaluated=evaluated))
    checked(html)
    assert ("no evaluation yet" in html) is not evaluated
    assert ("no curves yet" in html) is not trained


def test_half_written_line_and_lost_numbers_are_passed_over(make_run: MakeRun) -> None:
    run = make_run()
    with open(run / "metrics.jsonl", "a") as file:
        file.write('{"step": 60, "split": "train", "epoch": 3, "loss": null}\n{"step": 70, "spl')
    assert "60 steps, epoch 3" in html_of(run)


def test_of_two_lines_for_one_step_the_later_counts(make_run: MakeRun) -> None:
    run = make_run()
    with open(run / "metrics.jsonl", "a") as file:
        file.write('{"step": 50, "split": "val", "miou": 0.9}\n')
    assert "mIoU 0.900 at step 50" in html_of(run)


def test_many_classes_get_a_picture_instead_of_a_table_of_numbers(make_run: MakeRun) -> None:
    run = make_run()
    path = run / "evaluation" / "evaluation.json"
    content = json.loads(path.read_text())
    names = [f"class {i}" for i in range(150)]
    content |= {
        "class_names": names,
        "palette": [[i, i, i] for i in range(150)],
        "iou_per_class": dict.fromkeys(names, 0.5),
        "pixels_per_class": [10] * 150,
        "confusion": (np.eye(150, dtype=int) * 9 + 1).tolist(),
    }
    path.write_text(json.dumps(content))
    html = html_of(run)
    assert 'class="heat"' in html
    assert '<table class="confusion"' not in html


def test_huge_pictures_stay_below_15_mb(make_run: MakeRun) -> None:
    run = make_run()
    rng = np.random.default_rng(0)
    noise = rng.integers(0, 256, (1000, 2000, 3), dtype=np.uint8)
    gallery = run / "evaluation" / "gallery"
    for path in gallery.glob("*_input.png"):
        Image.fromarray(noise).save(path, compress_level=0)
    assert write_report(run).stat().st_size < 15_000_000 / 4  # 2 of 8 images, and noise at that


def test_pictures_are_read_from_the_gallery_only(make_run: MakeRun, tmp_path: Path) -> None:
    run = make_run()
    Image.new("RGB", (4, 4)).save(tmp_path / "secret.png")
    path = run / "evaluation" / "evaluation.json"
    path.write_text(path.read_text().replace("000000_input.png", "../../../secret.png"))
    with pytest.raises(InputError, match=r"gallery.secret\.png"):
        write_report(run)


@pytest.mark.parametrize(
    "content", ["{", "[]", "{}", '{"class_names": ["a"], "palette": [[0, 0, 0]]}']
)
def test_damaged_evaluation_is_an_input_error(make_run: MakeRun, content: str) -> None:
    run = make_run()
    (run / "evaluation" / "evaluation.json").write_text(content)
    with pytest.raises(InputError, match=r"evaluation\.json"):
        write_report(run)


@pytest.mark.parametrize(
    "change",
    [
        {"miou": None},
        {"pixel_accuracy": "0.5"},
        {"num_images": None},
        {"protocol": []},
        {"iou_per_class": {"road": 0.5}},
        {"iou_per_class": {"road": 0.5, "pole": "x", "unseen": None}},
        {"confusion": [[1, 2], [3, 4]]},
        {"confusion": [1, 2, 3]},
        {"pixels_per_class": [1]},
        {"per_image": [["image_0", "x"]]},
        {"gallery": [{"name": "a", "roles": ["best"], "miou": "x", **PICTURES}]},
    ],
)
def test_a_damaged_score_is_an_input_error(make_run: MakeRun, change: dict[str, Any]) -> None:
    run = make_run()
    path = run / "evaluation" / "evaluation.json"
    path.write_text(json.dumps(json.loads(path.read_text()) | change))
    with pytest.raises(InputError, match=r"evaluation\.json is damaged .*dualseg resume RUN"):
        write_report(run)


@pytest.mark.parametrize(
    ("change", "named"),
    [
        ({"miou": None}, "miou is None, no number"),
        (
            {"iou_per_class": {"road": 0.5, "pole": "x", "unseen": None}},
            "iou_per_class of pole is 'x', no number",
        ),
        ({"per_image": [["image_0", "x"]]}, "per_image of image_0 is 'x', no number"),
    ],
)
def test_a_damaged_score_is_named(make_run: MakeRun, change: dict[str, Any], named: str) -> None:
    run = make_run()
    path = run / "evaluation" / "evaluation.json"
    path.write_text(json.dumps(json.loads(path.read_text()) | change))
    with pytest.raises(InputError, match=named):
        write_report(run)


def test_damaged_picture_is_an_input_error(make_run: MakeRun) -> None:
    run = make_run()
    path = run / "evaluation" / "gallery" / "000000_truth.png"
    path.write_bytes(path.read_bytes()[:40])
    with pytest.raises(InputError, match=r"000000_truth\.png.*dualseg resume RUN"):
        write_report(run)


@pytest.mark.parametrize("content", ["{", "{}", '{"format": "dualseg-model/1"}'])
def test_damaged_facts_are_an_input_error(make_run: MakeRun, content: str) -> None:
    run = make_run()
    (run / "checkpoints" / "best").mkdir(parents=True)
    (run / "checkpoints" / "best" / "model.json").write_text(content)
    with pytest.raises(InputError, match=r"model\.json"):
        write_report(run)


def test_evaluation_of_an_older_version_names_no_checkpoint(make_run: MakeRun) -> None:
    assert "Scored" not in html_of(make_run())


def test_a_run_without_any_measurement_is_refused(make_run: MakeRun) -> None:
    run = make_run(trained=False, evaluated=False)
    with pytest.raises(InputError, match=r"nothing to show yet.*dualseg resume"):
        write_report(run)
    assert not (run / "report.html").exists()


def test_other_folders_are_refused(tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"no config\.yaml"):
        write_report(tmp_path)
    assert list(tmp_path.iterdir()) == []


def test_report_names_no_path_of_the_machine(make_run: MakeRun) -> None:
    run = make_run()
    assert not re.search(re.escape(str(run.parent)), html_of(run))


def test_scores_beyond_the_confusion_matrix_are_shown(make_run: MakeRun) -> None:
    html = html_of(make_run(extra=True))
    checked(html)
    assert "95 % interval 0.401 to 0.602" in html
    assert "Boundary IoU, mean over the classes, within 2 % of the diagonal" in html
    assert re.search(r"unseen</span></th>.*?>–</td>", html)  # no IoU, no boundary IoU
    rows = re.findall(r'<th scope="row">([^<]* px)</th><td[^>]*>([^<]*)</td>.*?</tr>', html)
    assert rows == [("0 to 2 px", "25.0 %"), ("2 to 9 px", "75.0 %"), ("from 9 px", "0.0 %")] * 2
    assert "0.625" in html  # right within 2 px
    assert "0.340" in html  # mIoU there
    assert "small, below 1,024" in html
    assert "0.125" in html  # of the objects found
    assert "expected calibration error 0.130" in html


def test_parts_without_scores_are_left_out(make_run: MakeRun) -> None:
    html = html_of(make_run())
    for words in ("% interval", "Boundar", "Small and large", "How sure"):
        assert words not in html
