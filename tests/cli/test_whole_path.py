"""From a folder of images and masks to predictions, through the command line alone."""

import json

import numpy as np
import torch
from PIL import Image

from dualseg.checkpoints.tensors import read_tensors


def test_train_resume_evaluate_predict_prune_report(dualseg, street, recipe, tmp_path):
    run = tmp_path / "run"
    trained = dualseg("train", recipe, "--data", street, "--out", run, "--json")
    assert trained.code == 0, trained.stderr
    assert trained.json["step"] == 3
    assert "background" in trained.stderr  # what was inferred is shown
    for name in ("config.yaml", "dataset.yaml", "metrics.jsonl", "report.html"):
        assert (run / name).exists()
    for name in ("model.safetensors", "model.json", "training_state.safetensors"):
        assert (run / "checkpoints" / "last" / name).exists()
    assert list((run / "tensorboard").iterdir())

    again = dualseg("resume", run, "--json")
    assert (again.code, again.json["step"]) == (0, 3)
    longer = dualseg("resume", run, "--set", "training.max_steps=5", "--json")
    assert (longer.code, longer.json["step"]) == (0, 5)
    steps = [json.loads(line)["step"] for line in (run / "metrics.jsonl").read_text().splitlines()]
    assert max(steps) == 5

    scored = dualseg("evaluate", run, "--json")
    assert scored.code == 0, scored.stderr
    assert set(scored.json) >= {
        "miou",
        "pixel_accuracy",
        "class_accuracy",
        "fwiou",
        "iou_per_class",
        "num_images",
        "ignored_share",
        "protocol",
    }
    assert scored.json["protocol"]["name"] == "whole"
    assert 0 <= scored.json["miou"] <= 1

    out = tmp_path / "predictions"
    predicted = dualseg("predict", run, street / "images" / "0.png", "--out", out, "--json")
    assert predicted.code == 0, predicted.stderr
    labels = Image.open(out / "0_labels.png")
    assert (labels.mode, labels.size) == ("P", (56, 40))
    assert set(np.unique(np.asarray(labels))) <= {0, 1}
    assert Image.open(out / "0_overlay.png").size == (56, 40)

    small = tmp_path / "small.safetensors"
    pruned = dualseg("prune", run, small, "--json")
    assert pruned.json["parameters"] < pruned.json["parameters_before"]
    second = tmp_path / "second"
    dualseg("predict", small, street / "images" / "0.png", "--out", second)
    assert (second / "0_labels.png").read_bytes() == (out / "0_labels.png").read_bytes()

    half = tmp_path / "half.safetensors"
    assert "differ a little" in dualseg("prune", run, half, "--precision", "bf16").stderr
    assert half.stat().st_size < 0.55 * small.stat().st_size
    weights, rounded = read_tensors(small), read_tensors(half)
    assert all(torch.equal(rounded[name], w.to(rounded[name].dtype)) for name, w in weights.items())
    assert dualseg("evaluate", half, "--data", street).code == 0
    wrong = dualseg("prune", run, tmp_path / "x.safetensors", "--precision", "fp16")
    assert (wrong.code, "allowed: fp32, bf16" in wrong.stderr) == (2, True)

    facts = dualseg("inspect", small, "--json").json
    assert facts["class_names"] == ["background", "foreground"]
    assert dualseg("inspect", small, "--key", "architecture.backbone").stdout == "mobilenet_v2\n"

    (run / "report.html").unlink()
    assert dualseg("report", run).code == 0
    assert (run / "report.html").exists()


def test_the_loss_falls_on_images_it_has_seen(dualseg, street, recipe, tmp_path):
    run = tmp_path / "run"
    settings = ["--set", "training.max_steps=40", "--set", "training.eval_every=40"]
    fine = ["--set", "model.name=deeplabv3plus", "--set", "training.batch_size=4"]
    fine += ["--set", "dsrl.stage=1", "--set", "training.lr=0.003"]
    done = dualseg("train", recipe, "--data", street, "--out", run, *settings, *fine)
    assert done.code == 0, done.stderr
    lines = [json.loads(line) for line in (run / "metrics.jsonl").read_text().splitlines()]
    losses = [line["loss"] for line in lines if line["split"] == "train"]
    assert np.mean(losses[-5:]) < 0.7 * np.mean(losses[:5])


def test_stages_start_from_the_one_before(dualseg, street, recipe, tmp_path):
    before = None
    for stage in (1, 2, 3):
        run = tmp_path / f"stage{stage}"
        chosen = ["--set", f"dsrl.stage={stage}", "--set", "training.max_steps=1"]
        start = ["--set", f"training.init_weights={before}"] if before else []
        done = dualseg("train", recipe, "--data", street, "--out", run, *chosen, *start)
        assert done.code == 0, done.stderr
        before = run
    assert "tensors of new parts start at random" in done.stderr


def test_an_ablation_gives_a_table_and_goes_on_where_it_stopped(dualseg, tmp_path, recipe):
    out = tmp_path / "ablation"
    small = ["--set", "training.max_steps=1", "--set", "data.name=streets"]
    chosen = ["--variants", "low label,full label,+SSSR +SISR +FA", "--seeds", "2"]
    first = dualseg("ablate", recipe, *small, *chosen, "--out", out, "--json")
    assert first.code == 0, first.stderr
    rows = first.json["rows"]
    assert [row["name"] for row in rows] == ["low label", "full label", "+SSSR +SISR +FA"]
    assert all(len(row["miou_per_seed"]) == 2 and row["latency_ms"] > 0 for row in rows)
    assert first.json["latency_size"] == [192, 256]  # of the images, not of the crops
    assert rows[0]["difference"] is None
    assert rows[2]["spread"] is not None
    assert (out / "report.html").exists()
    assert (out / "table.md").exists()
    again = dualseg("ablate", recipe, *small, *chosen, "--out", out, "--json")
    assert "[1/6]" not in again.stderr
    assert [r["miou"] for r in again.json["rows"]] == [r["miou"] for r in rows]
