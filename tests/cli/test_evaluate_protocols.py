"""`dualseg evaluate` under every protocol, through the command line alone."""

import json

import numpy as np
import pytest
from PIL import Image

from dualseg.checkpoints.model_files import read_facts

CLASSES = {"background", "foreground"}


@pytest.fixture
def run(dualseg, street, recipe, tmp_path):
    """A network trained for three steps, with DSRL, that sees images at half size."""
    folder = tmp_path / "run"
    trained = dualseg("train", recipe, "--data", street, "--out", folder, "--json")
    assert trained.code == 0, trained.stderr
    return folder


def scored(dualseg, run, *options):
    done = dualseg("evaluate", run, *options, "--json")
    assert done.code == 0, done.stderr
    return done.json


def test_every_protocol_names_itself_beside_its_number(dualseg, run):
    plain = scored(dualseg, run)
    assert plain["protocol"]["name"] == "whole"

    slid = scored(dualseg, run, "--protocol", "slide", "--window", "24x32", "--stride", "16x20")
    assert slid["protocol"]["window"] == [24, 32]
    assert slid["protocol"]["stride"] == [16, 20]
    assert slid["num_images"] == plain["num_images"]

    default = scored(dualseg, run, "--protocol", "slide")["protocol"]
    assert (default["window"], default["stride"]) == ([32, 48], [21, 32])  # the training crop

    crop = scored(dualseg, run, "--protocol", "crop")["protocol"]
    assert crop["crop_size"] == [32, 48]
    assert "old tables" in crop["comparable"]

    several = scored(dualseg, run, "--scales", "0.75,1,1.25", "--flip")["protocol"]
    assert (several["scales"], several["flip"]) == ([0.75, 1.0, 1.25], True)
    assert several["fusion"] == "mean"

    highest = scored(dualseg, run, "--scales", "0.5,1", "--fusion", "max")["protocol"]
    assert highest["fusion"] == "max"

    finer = scored(dualseg, run, "--output-stride", "8")["protocol"]
    assert finer["output_stride"] == 8


def test_the_default_precision_is_that_of_the_stored_score(dualseg, street, recipe, tmp_path):
    run, options = tmp_path / "half", ("--set", "training.precision=bf16", "--json")
    assert dualseg("train", recipe, "--data", street, "--out", run, *options).code == 0
    stored = read_facts(run / "checkpoints/best/model.json")
    plain = scored(dualseg, run)
    assert (plain["miou"], plain["protocol"]) == (stored.score, stored.protocol)
    assert plain["protocol"]["precision"] == "bf16"
    asked = scored(dualseg, run, "--precision", "fp32")["protocol"]
    assert asked == {**plain["protocol"], "precision": "fp32"}

    said = " ".join(dualseg("evaluate", run, "--flip").stdout.split())
    assert "mirror image averaged, bf16" in said
    (run / "checkpoints/best/model.json").write_text(
        json.dumps({**stored.to_dict(), "score": None, "protocol": None})
    )
    assert scored(dualseg, run)["protocol"]["precision"] == "fp32"


def test_an_exported_file_computes_in_its_own_precision(dualseg, street, recipe, tmp_path):
    run, options = tmp_path / "half", ("--set", "training.precision=bf16", "--json")
    assert dualseg("train", recipe, "--data", street, "--out", run, *options).code == 0
    file = tmp_path / "net.pt2"
    assert dualseg("export", run, "--format", "torch", "--out", file).code == 0
    result = scored(dualseg, file, "--data", street)
    assert result["protocol"]["precision"] == "fp32"


def test_a_crf_stands_in_the_protocol_with_its_settings(dualseg, run):
    settings = ("--crf", "--crf-set", "iterations=2", "--crf-set", "bi_w=5")
    result = scored(dualseg, run, *settings)
    assert result["protocol"]["crf"]["iterations"] == 2
    assert result["protocol"]["crf"]["bi_w"] == 5.0
    assert 0 <= result["miou"] <= 1


def test_a_fusion_of_a_single_answer_is_refused(dualseg, run):
    told = dualseg("evaluate", run, "--fusion", "max")
    assert told.code == 2
    assert "fusion max has nothing to fuse at one scale without flip" in told.stderr
    assert scored(dualseg, run, "--fusion", "max", "--flip")["protocol"]["fusion"] == "max"


def test_one_window_of_the_images_size_is_the_whole_image(dualseg, run):
    plain = scored(dualseg, run)
    slid = scored(dualseg, run, "--protocol", "slide", "--window", "40x56", "--stride", "40x56")
    assert slid["iou_per_class"] == plain["iou_per_class"]


def test_all_scores(dualseg, run):
    result = scored(dualseg, run, "--scores", "all", "--per-image")
    interval = result["miou_interval"]
    assert interval is None or interval["low"] <= result["miou"] <= interval["high"]
    assert result["miou_per_batch"]["batch_size"] == 8
    assert result["cross_entropy"] > 0
    assert 0 <= result["calibration"]["ece"] <= 1
    assert len(result["calibration"]["bins"]) == 15
    assert set(result["boundary_iou"]["per_class"]) == CLASSES
    assert set(result["boundary_f"]["per_class"]) == CLASSES
    assert [band["to"] for band in result["trimap"]["bands"]] == [2, 4, 8, 16, None]
    assert sum(band["pixels"] for band in result["trimap"]["bands"]) > 0
    assert result["object_sizes"]["small"]["num_objects"] > 0
    assert 0 < result["uncertainty"]["confidence"]["mean"] <= 1
    assert len(result["per_image"]) == result["num_images"]
    assert set(result["per_image"][0]) == {
        "name",
        "miou",
        "pixel_accuracy",
        "confidence",
        "entropy",
        "feature_shift",
    }


def test_people_see_the_worst_images_first(dualseg, run, monkeypatch):
    monkeypatch.setattr("dualseg.cli.evaluate.SHOWN_IMAGES", 1)
    every = scored(dualseg, run, "--split", "train", "--per-image")["per_image"]
    worst = min(every, key=lambda image: image["miou"])
    said = dualseg("evaluate", run, "--split", "train", "--per-image").stdout
    table, _, rest = said.partition(f"and {len(every) - 1} more images")
    assert len(every) > 1
    (row,) = [line.split() for line in table.splitlines() if line.startswith("│")]
    assert row[1] == worst["name"]
    assert row[3] == f"{100 * worst['miou']:.1f}"
    assert "--per-image --json gives all" in rest
    assert "worst first" not in dualseg("evaluate", run, "--split", "train").stdout


def test_people_read_the_protocol_beside_the_number(dualseg, run):
    asked = ("--protocol", "slide", "--window", "24x32", "--scales", "0.75,1", "--flip")
    done = dualseg("evaluate", run, *asked, "--scores", "all")
    assert done.code == 0, done.stderr
    text = " ".join(done.stdout.split())
    assert "protocol: slide, native resolution, window 24x32, stride 16x21" in text
    assert "scales 0.75 1, fused by mean, mirror image averaged, fp32" in text
    for words in (
        "calibration error",
        "boundary IoU",
        "boundary F",
        "within 4 px",
        "small objects",
        "nats",
    ):
        assert words in text
    crop = " ".join(dualseg("evaluate", run, "--protocol", "crop").stdout.split())
    assert "protocol: crop, short side resized, centre crop 32x48, comparable only with old" in crop


def test_unfamiliar_images_are_named(dualseg, run, street, tmp_path):
    kept = tmp_path / "train.json"
    result = scored(dualseg, run, "--scores", "uncertainty", "--split", "train")
    kept.write_text(json.dumps(result))
    again = scored(dualseg, run, "--unlike", kept, "--split", "train", "--per-image")
    limit = result["uncertainty"]["feature_shift"]["p99"]
    beyond = [row["name"] for row in again["per_image"] if row["feature_shift"] > limit]
    assert again["unlike"]["images"] == beyond
    assert len(beyond) == 1  # of so few images, only the least familiar one lies above p99
    told = dualseg("evaluate", run, "--unlike", kept, "--split", "train").stdout
    assert f"1 image unlike those of the earlier one: {beyond[0]}" in told

    random = np.random.default_rng(0)
    for path in (street / "images").iterdir():
        Image.fromarray(random.integers(0, 256, (40, 56, 3), dtype=np.uint8)).save(path)
    noise = scored(dualseg, run, "--unlike", kept, "--split", "train")
    assert len(noise["unlike"]["images"]) == noise["num_images"]

    other = dualseg("evaluate", run, "--unlike", kept, "--flip")
    assert other.code == 2
    assert "another protocol (flip differ)" in " ".join(other.stderr.split())


def test_a_model_file_without_a_run_needs_data(dualseg, run, street, tmp_path):
    small = tmp_path / "small.safetensors"
    assert dualseg("prune", run, small).code == 0
    result = scored(dualseg, small, "--data", street, "--protocol", "slide", "--flip")
    assert set(result["iou_per_class"]) == CLASSES


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (["--protocol", "slide", "--window", "240"], "--window '240' is no size"),
        (["--protocol", "slide", "--window", "0x9"], "--window '0x9' is no size"),
        (["--window", "9x9"], "a window belongs to the protocols slide and crop"),
        (["--average", "logits"], "average logits is of the overlapping windows"),
        (["--protocol", "crop", "--stride", "9x9"], "a stride belongs to the protocol slide"),
        (["--protocol", "slide", "--window", "8x8", "--stride", "9x9"], "stride is larger"),
        (["--protocol", "tiles"], "tiles"),
        (["--scales", "one,two"], "are no numbers"),
        (["--scales", "0,1"], "must lie above 0"),
        (["--scales", "nan"], "must lie above 0"),
        (["--scores", "boundary"], "did you mean boundary_f"),
        (["--fusion", "sum"], "sum"),
        (["--crf-set", "bi_w=5"], "give --crf too"),
        (["--crf", "--crf-set", "bi=5"], "sets nothing of the CRF"),
        (["--unlike", "nowhere.json"], "nowhere.json"),
    ],
)
def test_wrong_values_end_in_one_message(dualseg, tmp_path, options, message):
    done = dualseg("evaluate", tmp_path / "no_model_is_read", *options)
    assert done.code == 2, done.stderr
    assert done.stdout == ""
    assert "Traceback" not in done.stderr
    assert message in " ".join(done.stderr.split())


def test_an_output_stride_that_cannot_be(dualseg, run):
    done = dualseg("evaluate", run, "--output-stride", "5")
    assert done.code == 2
    assert "output_stride 5 is not possible" in " ".join(done.stderr.split())
