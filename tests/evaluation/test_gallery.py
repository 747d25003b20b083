"""What a run keeps for its report, and that the report is made from it."""

import json
from pathlib import Path

import numpy as np
import pytest
import torch
from evaluation_fakes import Threshold, TinyDataset
from PIL import Image

from dualseg.cli import compare_runs, run_report
from dualseg.core.errors import InputError
from dualseg.evaluation.evaluate import evaluate
from dualseg.evaluation.gallery import choose_images, collect_gallery, draw_images
from dualseg.visual.report import write_report
from dualseg.visual.run_files import read_evaluation


def worse_and_worse(count: int) -> TinyDataset:
    """In image i the first i of 8 rows are wrong."""
    target = np.zeros((8, 12))
    target[:, 6:] = 1
    drawn = []
    for index in range(count):
        image = target.copy()
        image[:index] = 1 - image[:index]
        drawn.append(image)
    return TinyDataset([target] * count, drawn)


def collect(run: Path, num_images: int = 6, *, count: int = 4) -> Path:
    run.mkdir(exist_ok=True)
    model, dataset = Threshold(), worse_and_worse(num_images)
    return collect_gallery(run, model, dataset, evaluate(model, dataset), count=count)


def test_best_and_worst_images_are_chosen_in_order() -> None:
    chosen = choose_images([0.5, 0.9, None, 0.1, 0.7], 2)
    assert [index for index, roles in chosen.items() if "best" in roles] == [1, 4]
    assert [index for index, roles in chosen.items() if "worst" in roles] == [3, 0]


def test_no_image_is_both_best_and_worst() -> None:
    assert choose_images([0.2, 0.8, 0.5], 4) == {
        1: ["best", "sample"],
        2: ["best", "sample"],
        0: ["worst", "sample"],
    }


def test_samples_do_not_depend_on_the_scores() -> None:
    def samples(mious: list[float]) -> list[int]:
        chosen = choose_images(mious, 3)
        return sorted(index for index, roles in chosen.items() if "sample" in roles)

    ascending = [index / 100 for index in range(100)]
    assert samples(ascending) == samples(ascending[::-1])
    assert len(samples(ascending)) == 12
    assert samples(ascending)[0] == 0
    assert samples(ascending)[-1] == 99


def test_data_set_without_scores_still_has_samples() -> None:
    assert choose_images([None, None], 2) == {0: ["sample"], 1: ["sample"]}


def test_numbers_and_pictures_can_be_read_back(tmp_path: Path) -> None:
    collect(tmp_path / "run")
    stored = read_evaluation(tmp_path / "run")
    assert stored
    assert stored.confusion.sum() == 6 * 8 * 12
    assert stored.parameters == 3
    assert stored.split == "val"
    best = stored.gallery[0]
    assert (best.name, best.miou) == ("image_0", 1.0)
    truth, preds = best.read("truth"), best.read("prediction")
    assert truth.shape == (8, 12)
    assert np.array_equal(truth, preds)
    assert best.read("input").shape == (8, 12, 3)


def test_checkpoint_and_its_step_are_kept_and_shown(tmp_path: Path) -> None:
    (tmp_path / "config.yaml").write_text("seed: 3\n")
    (tmp_path / "checkpoints" / "step_00001200").mkdir(parents=True)
    (tmp_path / "checkpoints" / "last").symlink_to("step_00001200")
    model, dataset = Threshold(), worse_and_worse(2)
    collect_gallery(tmp_path, model, dataset, evaluate(model, dataset), checkpoint="last")
    stored = read_evaluation(tmp_path)
    assert stored
    assert (stored.checkpoint, stored.step) == ("last", 1200)
    assert "checkpoint last, step 1,200" in write_report(tmp_path).read_text(encoding="utf-8")


def test_step_of_a_checkpoint_without_a_link_is_unknown(tmp_path: Path) -> None:
    (tmp_path / "checkpoints" / "best").mkdir(parents=True)
    collect(tmp_path)
    stored = read_evaluation(tmp_path)
    assert stored
    assert (stored.checkpoint, stored.step) == ("best", None)


def test_input_is_kept_as_the_network_sees_it(tmp_path: Path) -> None:
    model, dataset = Threshold(factor=2, input_scale=0.5), worse_and_worse(1)
    collect_gallery(tmp_path, model, dataset, evaluate(model, dataset))
    with Image.open(tmp_path / "evaluation" / "gallery" / "000000_input.png") as picture:
        assert picture.size == (6, 4)


def test_older_evaluation_is_replaced_as_a_whole(tmp_path: Path) -> None:
    folder = collect(tmp_path / "run", 6)
    (folder / "gallery" / "stale.png").touch()
    collect(tmp_path / "run", 2)
    assert sorted(path.name for path in (tmp_path / "run").iterdir()) == ["evaluation"]
    assert len(list((folder / "gallery").iterdir())) == 2 * 3
    assert json.loads((folder / "evaluation.json").read_text())["num_images"] == 2


def test_failure_leaves_the_older_evaluation(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = collect(tmp_path / "run", 3)
    before = (folder / "evaluation.json").read_text()

    def fail(*_: object) -> None:
        raise InputError("no space left")

    monkeypatch.setattr("dualseg.evaluation.gallery.write_label_png", fail)
    with pytest.raises(InputError, match="no space"):
        collect(tmp_path / "run", 2)
    assert (folder / "evaluation.json").read_text() == before
    assert [path.name for path in (tmp_path / "run").iterdir()] == ["evaluation"]


def test_report_is_made_from_what_was_kept(tmp_path: Path) -> None:
    (tmp_path / "config.yaml").write_text("seed: 3\n")
    collect(tmp_path, 6, count=2)
    html = write_report(tmp_path).read_text(encoding="utf-8")
    assert html.count('<article class="card shot"') == 4
    assert html.index("image_0") < html.index("image_1") < html.index("image_5")


def test_drawn_images_are_predicted_anew_and_whole(tmp_path: Path) -> None:
    model, dataset = Threshold(factor=2, input_scale=0.5), worse_and_worse(6)
    images = draw_images(tmp_path, model, dataset, ["image_4", "elsewhere", "image_0"])
    assert [image.name for image in images] == ["image_4", "image_0"]
    scores = evaluate(model, dataset).per_image
    assert [image.miou for image in images] == [scores[4].miou, scores[0].miou]
    wrong = images[0].read("prediction") != images[0].read("truth")
    assert wrong.any(axis=1).tolist() == [True] * 4 + [False] * 4
    assert images[0].read("image").shape == (8, 12, 3)
    assert images[0].read("input").shape == (4, 6, 3)


def test_scores_of_a_report_are_those_of_the_evaluator() -> None:
    model, dataset = Threshold(), worse_and_worse(6)
    found, resampled = run_report._evaluate_in_full(model, dataset)
    asked = evaluate(model, dataset, scores=run_report.REPORT_SCORES)
    assert found.to_dict() == asked.to_dict()
    assert resampled
    # The interval is that of the resamples which are kept for differences between runs.
    interval = found.extra["miou_interval"]
    low, high = np.quantile(resampled["mious"], [0.025, 0.975])
    assert (low, high) == pytest.approx((interval["low"], interval["high"]), abs=1e-6)
    assert (resampled["seed"], resampled["resamples"]) == (interval["seed"], interval["resamples"])


def test_runs_on_the_same_images_share_their_resamples(tmp_path: Path) -> None:
    """A network that errs on one row more of every image is worse in every single resample."""
    target = np.zeros((8, 12))
    target[:, 6:] = 1

    def mious(num_wrong: int) -> np.ndarray:
        drawn = [target.copy() for _ in range(6)]
        for index, image in enumerate(drawn):
            image[: index % 3 + num_wrong] = 1 - image[: index % 3 + num_wrong]
        _, resampled = run_report._evaluate_in_full(Threshold(), TinyDataset([target] * 6, drawn))
        assert resampled
        return np.array(resampled["mious"])

    assert (mious(1) > mious(2)).all()


def scored_run(folder: Path, dataset: TinyDataset) -> Path:
    folder.mkdir()
    (folder / "config.yaml").write_text("runtime: {device: cpu}\ndata: {crop_size: [16, 24]}\n")
    collect_gallery(folder, Threshold(), dataset, evaluate(Threshold(), dataset), count=1)
    return folder


def test_comparison_draws_the_images_it_shows(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    dataset = worse_and_worse(6)
    better = TinyDataset(dataset.targets, [dataset.targets[0], *dataset.drawn[:5]])
    data = {"before": dataset, "after": better}
    runs = [scored_run(tmp_path / name, found) for name, found in data.items()]
    monkeypatch.setattr(compare_runs, "load_model", lambda path: Threshold())
    monkeypatch.setattr(compare_runs, "open_evaluation_data", lambda run, *_: data[Path(run).name])
    page = tmp_path / "page.html"
    found = compare_runs.compare_runs(
        runs, page, kept_only=False, latency=True, device=torch.device("cpu")
    )
    assert found["notes"] == []
    assert all(run["latency_ms"] > 0 for run in found["runs"])
    html = page.read_text(encoding="utf-8")
    compared, _, worst = html.partition(">Worst images of after</h2>")
    assert "as the network sees it" not in compared
    assert "<h3>image_5</h3>" in worst
    # Every image but the first has one wrong row fewer.
    assert html.index("Largest gains") < html.index("<h3>image_")


def test_comparison_says_when_a_checkpoint_is_no_longer_what_was_scored(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    dataset, better = worse_and_worse(4), worse_and_worse(4)
    better.drawn = [better.targets[0]] * 4
    runs = [scored_run(tmp_path / "a", dataset), scored_run(tmp_path / "b", better)]
    monkeypatch.setattr(compare_runs, "load_model", lambda path: Threshold())
    monkeypatch.setattr(compare_runs, "open_evaluation_data", lambda *_: dataset)
    found = compare_runs.compare_runs(
        runs, tmp_path / "p.html", kept_only=False, latency=False, device=torch.device("cpu")
    )
    (said,) = found["notes"]
    assert said.startswith("b: the checkpoint or the data is no longer what was scored")
    assert "image_3" in said
    assert not list(tmp_path.glob("*.png"))
