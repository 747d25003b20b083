import json
import os
from collections.abc import Mapping

import numpy as np
import pytest
import torch
from runs import StopAt, Told, train_until
from tiny import LABELS, TinyDataset, TinyNetwork, tiny_recipe

import dualseg
from dualseg.checkpoints.model_files import save_model
from dualseg.config import load_recipe
from dualseg.core.errors import InputError
from dualseg.core.facts import ModelFacts
from dualseg.core.files import DiskFullError
from dualseg.core.image_spec import ImageSpec
from dualseg.core.labels import LabelSpec
from dualseg.data.catalog import Splits
from dualseg.data.faults import DatasetError, Fault
from dualseg.training import preflight, setup, trainer
from dualseg.training.progress import Silent
from dualseg.training.records.run_folder import owned
from dualseg.training.step import NonFiniteLossError
from dualseg.training.trainer import train

pytestmark = pytest.mark.usefixtures("tiny_world")


def history(folder) -> list[dict]:
    return [json.loads(line) for line in (folder / "metrics.jsonl").read_text().splitlines()]


def test_a_run_folder_explains_itself(tmp_path):
    run = tmp_path / "some" / "run"
    result = train(tiny_recipe(), run)
    assert {"config.yaml", "dataset.yaml", "metrics.jsonl", "checkpoints", "tensorboard"} <= {
        item.name for item in run.iterdir()
    }
    written = load_recipe(run / "config.yaml")
    filled = {"backbone": "resnet50", "output_stride": 16}  # the paper's, where not given
    assert written == tiny_recipe({"model": filled})
    assert (result.step, result.run_folder) == (6, run)
    assert result.best_miou == max(e["miou"] for e in history(run) if e["split"] == "val")
    assert result.evaluation["num_images"] == 3
    assert list((run / "tensorboard").iterdir())


def test_the_history_has_means_at_every_second_step_and_two_validations(tmp_path):
    class Watch(Silent):
        losses: list[float] = []  # noqa: RUF012

        def stepped(self, step: int, max_steps: int, losses: Mapping[str, float], lr: float):
            self.losses.append(losses["loss"])

    watch = Watch()
    train(tiny_recipe(), tmp_path, progress=watch)
    entries = history(tmp_path)
    assert [(e["step"], e["split"]) for e in entries] == [
        (2, "train"),
        (3, "val"),
        (4, "train"),
        (6, "train"),
        (6, "val"),
    ]
    means = [sum(watch.losses[i : i + 2]) / 2 for i in (0, 2, 4)]
    assert [e["loss"] for e in entries if e["split"] == "train"] == pytest.approx(means)
    assert entries[0]["epoch"] == 1.0  # 11 images are two whole batches of 4
    assert entries[0]["lr"] == pytest.approx(0.05 * (1 - 1 / 6) ** 0.9)
    assert entries[0]["images_per_second"] > 0
    assert entries[0]["cross_entropy"] == entries[0]["loss"]
    assert 0 <= entries[1]["pixel_accuracy"] <= 1


def test_the_loss_falls(tmp_path):
    train(tiny_recipe({"training": {"max_steps": 60, "eval_every": 60}}), tmp_path)
    losses = [e["loss"] for e in history(tmp_path) if e["split"] == "train"]
    assert losses[-1] < 0.7 * losses[0]


def test_the_facts_beside_the_weights(tmp_path):
    train(tiny_recipe(), tmp_path)
    facts = json.loads((tmp_path / "checkpoints" / "last" / "model.json").read_text())
    assert facts["source"] == f"trained by dualseg {dualseg.__version__}"
    assert facts["class_names"] == ["dark", "bright"]
    assert facts["training_size"] == [16, 16]
    assert facts["score"] == history(tmp_path)[-1]["miou"]
    assert facts["protocol"]["name"] == "whole"
    train_until(tiny_recipe(), tmp_path / "stopped", StopAt(1))
    facts = json.loads((tmp_path / "stopped" / "checkpoints" / "last" / "model.json").read_text())
    assert facts["score"] is None


def test_best_names_the_highest_score(tmp_path, monkeypatch):
    scores = iter([0.5, 0.7, 0.7, 0.6, 0.4])

    def scripted(*args):
        return lambda network, watch: {"miou": next(scores), "protocol": {"name": "scripted"}}

    monkeypatch.setattr(setup, "_create_evaluate", scripted)
    result = train(tiny_recipe({"training": {"max_steps": 5, "eval_every": 1}}), tmp_path)
    assert result.best_miou == 0.7
    assert os.readlink(tmp_path / "checkpoints" / "best") == "step_00000002"
    kept = {path.name for path in (tmp_path / "checkpoints").glob("step_*")}
    assert kept == {"step_00000002", "step_00000004", "step_00000005"}


def test_a_score_that_is_missing_is_no_best(tmp_path, monkeypatch):
    def unscored(*args):
        return lambda network, watch: {"miou": None, "protocol": {}}

    monkeypatch.setattr(setup, "_create_evaluate", unscored)
    assert train(tiny_recipe(), tmp_path).best_miou is None
    assert not (tmp_path / "checkpoints" / "best").exists()


def test_the_average_is_evaluated_and_shown_where_there_is_one(tmp_path):
    from safetensors.torch import load_file

    train(tiny_recipe(), tmp_path)
    last = tmp_path / "checkpoints" / "last"
    shown = load_file(last / "model.safetensors")
    raw = load_file(last / "training_state.safetensors")
    assert not torch.equal(shown["classifier.weight"], raw["weights/classifier.weight"])


def test_the_same_seed_gives_the_same_run_whatever_the_global_generator_did(tmp_path):
    for name in ("one", "two"):
        torch.rand(3)
        train(tiny_recipe(), tmp_path / name)
    weights = [
        (tmp_path / n / "checkpoints" / "last" / "model.safetensors").read_bytes()
        for n in ("one", "two")
    ]
    assert weights[0] == weights[1]


def test_callers_thread_count_comes_back(tmp_path):
    train(tiny_recipe({"runtime": {"threads": 2}}), tmp_path)
    assert torch.get_num_threads() == 1


def test_without_tensorboard_a_run_is_the_same(tmp_path, monkeypatch):
    import builtins

    real = builtins.__import__

    def without(name, *args, **kwargs):
        if "tensorboard" in name:
            raise ImportError(name)
        return real(name, *args, **kwargs)

    monkeypatch.setattr(builtins, "__import__", without)
    train(tiny_recipe(), tmp_path)
    assert not (tmp_path / "tensorboard").exists()
    assert len(history(tmp_path)) == 5


def test_a_folder_with_a_run_is_refused(tmp_path):
    train(tiny_recipe(), tmp_path)
    with pytest.raises(InputError, match=r"dualseg resume .* or another --out"):
        train(tiny_recipe(), tmp_path)


def nothing_was_made(folder) -> bool:
    return not folder.exists()


def test_faults_of_both_splits_are_told_at_once(tmp_path):
    def faulty(dataset, **_):
        fault = Fault("E103", f"{dataset.split}.png", "has the value 9", "0..1", "relabel it")
        raise DatasetError(f"the split {dataset.split!r} has faults:", [fault])

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(preflight, "check_dataset", faulty)
        with pytest.raises(DatasetError, match="'train' has faults and the split 'val'") as caught:
            train(tiny_recipe(), tmp_path / "run")
    assert [fault.file for fault in caught.value.faults] == ["train.png", "val.png"]


def test_faults_are_found_before_the_folder_is_made(tmp_path, monkeypatch):
    run = tmp_path / "run"

    def faulty(dataset, **_):
        raise InputError("label 9 in image_3")

    with monkeypatch.context() as patch:
        patch.setattr(preflight, "check_dataset", faulty)
        with pytest.raises(InputError, match="label 9"):
            train(tiny_recipe(), run)
    with pytest.raises(InputError, match="do not fill one batch of 12"):
        train(tiny_recipe({"training": {"batch_size": 12}}), run)
    with pytest.raises(InputError, match="does not split"):
        train(tiny_recipe({"training": {"accumulate_steps": 3}}), run)
    with pytest.raises(InputError, match="this machine has no device cuda:7"):
        train(tiny_recipe({"runtime": {"device": "cuda:7"}}), run)
    with monkeypatch.context() as patch:
        patch.setattr("shutil.disk_usage", lambda path: type("Usage", (), {"free": 10}))
        with pytest.raises(DiskFullError, match="10 are free"):
            train(tiny_recipe(), run)
    assert nothing_was_made(run)


def test_splits_with_different_classes_are_refused(tmp_path, monkeypatch):
    val = TinyDataset(3, "val")
    val.labels = LabelSpec(("dark", "light"), LABELS.palette)
    splits = Splits(TinyDataset(11), val, ())
    monkeypatch.setattr(trainer, "open_splits", lambda settings, **_: splits)
    with pytest.raises(InputError, match="train has dark, bright; val has dark, light"):
        train(tiny_recipe(), tmp_path / "run")


def test_what_was_inferred_about_the_data_is_told_and_saved(tmp_path, monkeypatch):
    splits = Splits(
        TinyDataset(11), TinyDataset(3, "val"), ("every tenth image is for validation",)
    )
    monkeypatch.setattr(trainer, "open_splits", lambda settings, **_: splits)
    told = Told()
    train(tiny_recipe(), tmp_path, progress=told)
    assert "every tenth image is for validation" in told.messages
    assert "every tenth image" in (tmp_path / "dataset.yaml").read_text()


@pytest.mark.parametrize("split", ["train", "val"])
def test_a_split_without_a_labelled_pixel_is_refused(tmp_path, monkeypatch, split):
    class Unlabelled(TinyDataset):
        def label_map(self, index):
            return np.full((20, 24), 255, dtype=np.uint8)

        def image(self, index):
            return np.zeros((20, 24, 3), dtype=np.uint8)

    train_split = Unlabelled(11) if split == "train" else TinyDataset(11)
    val_split = Unlabelled(3, "val") if split == "val" else TinyDataset(3, "val")
    splits = Splits(train_split, val_split, ())
    monkeypatch.setattr(trainer, "open_splits", lambda settings, **_: splits)
    with pytest.raises(InputError, match=f"no pixel of the split '{split}' has a class"):
        train(tiny_recipe(), tmp_path / "run")
    assert nothing_was_made(tmp_path / "run")


def test_one_image_at_a_time_on_a_single_position_is_refused(tmp_path):
    with pytest.raises(InputError, match=r"crop_size=\[32,32\], or training\.batch_size=2"):
        train(tiny_recipe({"training": {"batch_size": 1}}), tmp_path / "run")
    assert nothing_was_made(tmp_path / "run")


def test_a_warm_up_longer_than_the_run_is_shortened_in_the_recipe_that_is_used(tmp_path):
    told = Told()
    changes = {"max_steps": 20, "warmup_steps": 200, "schedule": "constant", "eval_every": 20}
    train(tiny_recipe({"training": changes}), tmp_path, progress=told)
    assert load_recipe(tmp_path / "config.yaml").training.warmup_steps == 2
    assert any("training.warmup_steps 200 -> 2" in line for line in told.messages)
    rates = [entry["lr"] for entry in history(tmp_path) if entry["split"] == "train"]
    assert rates[1:] == [0.05] * 9  # the whole rate from the third step on


@pytest.mark.parametrize(
    ("model", "data", "crop"),
    [
        ({}, {}, [16, 16]),  # 20 x 24 in steps of 16
        ({"output_stride": 8}, {}, [16, 24]),
        ({"output_stride": 8}, {"input_scale": 0.5}, [16, 16]),
    ],
)
def test_a_crop_that_is_not_given_comes_from_the_first_image(tmp_path, model, data, crop):
    recipe = tiny_recipe({"model": model, "data": {"crop_size": None, **data}})
    train(recipe, tmp_path)
    assert list(load_recipe(tmp_path / "config.yaml").data.crop_size) == crop


def test_a_relative_data_folder_is_saved_absolute(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "pictures").mkdir()
    train(tiny_recipe({"data": {"root": "pictures"}}), "run")
    assert load_recipe(tmp_path / "run/config.yaml").data.root == str(tmp_path / "pictures")


@pytest.mark.parametrize(
    ("uri", "saved"),
    [
        ("mlruns", "{here}/mlruns"),
        ("file:./mlruns", "file:{here}/mlruns"),
        ("sqlite:///runs.db", "sqlite:///{here}/runs.db"),
        ("file:///kept/mlruns", "file:///kept/mlruns"),
        ("sqlite:////kept/runs.db", "sqlite:////kept/runs.db"),
        ("http://localhost:5000", "http://localhost:5000"),
        ("databricks", "databricks"),
    ],
)
def test_folders_a_run_makes_itself_are_saved_absolute(tmp_path, monkeypatch, uri, saved):
    monkeypatch.chdir(tmp_path)
    asked = {"data": {"cache_dir": "cache"}, "tracking": {"mlflow_uri": uri}}
    recipe = preflight.resolve_paths(tiny_recipe(asked))
    assert recipe.data.cache_dir == str(tmp_path / "cache")
    assert recipe.tracking.mlflow_uri == saved.format(here=tmp_path)
    monkeypatch.chdir("/")
    assert preflight.resolve_paths(recipe) == recipe


def test_relative_weights_are_saved_absolute_and_a_link_stays_one(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    model = TinyNetwork()
    save_model(tmp_path / "real", model, ModelFacts(architecture=model.architecture, labels=LABELS))
    (tmp_path / "best").symlink_to("real")
    (tmp_path / "backbone.safetensors").touch()
    changes = {
        "training": {"init_weights": "best"},
        "model": {"pretrained": "backbone.safetensors"},
    }
    train(tiny_recipe(changes), "run")
    saved = load_recipe(tmp_path / "run/config.yaml")
    assert saved.training.init_weights == str(tmp_path / "best")
    assert saved.model.pretrained == str(tmp_path / "backbone.safetensors")


def test_initial_weights_are_loaded_and_not_looked_for_on_resume(tmp_path):
    import shutil

    model = TinyNetwork()
    with torch.no_grad():
        model.classifier.bias.fill_(3.0)
    facts = ModelFacts(architecture=model.architecture, labels=LABELS)
    save_model(tmp_path / "before", model, facts)
    settings = {"init_weights": str(tmp_path / "before"), "lr": 1e-6, "ema_decay": None}
    recipe = tiny_recipe({"training": settings})
    train_until(recipe, tmp_path / "run", StopAt(1))
    shutil.rmtree(tmp_path / "before")
    trainer.resume(tmp_path / "run")
    from safetensors.torch import load_file

    bias = load_file(tmp_path / "run/checkpoints/last/model.safetensors")["classifier.bias"]
    assert bias.tolist() == pytest.approx([3.0, 3.0], abs=1e-3)


def messages_with_weights_of(folder, **facts) -> list[str]:
    model = TinyNetwork()
    facts = ModelFacts(architecture=model.architecture, labels=LABELS, **facts)
    save_model(folder / "before", model, facts)
    told = Told()
    settings = {"init_weights": str(folder / "before"), "max_steps": 1, "warmup_steps": 0}
    train(tiny_recipe({"training": settings}), folder / "run", progress=told)
    return [line for line in told.messages if str(folder / "before") in line]


def test_initial_weights_that_saw_other_input_are_warned_of(tmp_path):
    images = ImageSpec(channels=(3, 2, 1), max_value=4095)
    _, warning = messages_with_weights_of(tmp_path, mean=(0.5, 0.5, 0.5), images=images)
    assert "mean was [0.5, 0.5, 0.5], is [0.485, 0.456, 0.406]" in warning
    assert "channels was [3, 2, 1], is 3; max_value was 4095, is None" in warning
    assert "std" not in warning


def test_initial_weights_whose_mean_was_rounded_otherwise_are_not(tmp_path):
    mean = (123.675 / 255, 116.28 / 255, 103.53 / 255)
    assert len(messages_with_weights_of(tmp_path, mean=mean)) == 1


def test_a_loss_that_is_not_finite_ends_the_run_and_the_checkpoint_is_good(tmp_path, monkeypatch):
    def explode_in_step_four(recipe, labels, **options):
        def objective(output, batch, step):
            factor = float("inf") if step == 3 else 1.0
            return {"cross_entropy": output.logits.square().mean() * factor}

        return objective

    monkeypatch.setattr(setup, "create_objective", explode_in_step_four)
    with pytest.raises(NonFiniteLossError, match=r"step 4: .*\n.*cross_entropy = inf"):
        train(tiny_recipe(), tmp_path)
    checkpoint = trainer.CheckpointStore(tmp_path, report=print).latest()
    assert checkpoint.step == 3
    assert all(t.isfinite().all() for t in checkpoint.weights().values())


def test_two_runs_cannot_share_a_folder(tmp_path):
    child = os.fork()
    if child == 0:
        with owned(tmp_path):
            os.kill(os.getpid(), 19)  # SIGSTOP: hold the lock and wait
        os._exit(0)
    os.waitpid(child, os.WUNTRACED)
    try:
        with pytest.raises(InputError, match=f"process {child} on .* wait for it"):
            train(tiny_recipe(), tmp_path)
        assert not (tmp_path / "config.yaml").exists()
    finally:
        os.kill(child, 9)
        os.waitpid(child, 0)
