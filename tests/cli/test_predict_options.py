"""`dualseg predict` and `crf-search` beyond the plain case."""

import os

import pytest
from PIL import Image

from dualseg.checkpoints.model_files import save_model
from dualseg.cli import crf_search
from dualseg.core.errors import InputError
from dualseg.core.facts import ModelFacts, default_labels
from dualseg.models.catalog import create_model


@pytest.fixture
def model(tmp_path):
    network = create_model("fcn", backbone="mobilenet_v2", num_classes=2, output_stride=32)
    save_model(tmp_path / "model", network, ModelFacts(network.architecture, default_labels(2)))
    return tmp_path / "model"


def test_chosen_files_tiles_and_resume(dualseg, street, model, tmp_path):
    out = tmp_path / "out"
    command = ("predict", model, street / "images", "--out", out, "--write", "labels,contour")
    first = dualseg(*command, "--tile", "32x32", "--overlap", 0)
    assert first.code == 0, first.stderr
    assert "8 images predicted" in first.stderr
    assert len(list(out.iterdir())) == 16
    (out / "3_contour.png").unlink()
    again = dualseg(*command, "--resume", "--json")
    assert again.json["num_skipped"] == 7
    assert again.json["num_images"] == 8
    assert set(again.json["files"][0]) == {"image", "labels", "contour"}
    assert "0 images predicted, 8 were there" in dualseg(*command, "--resume").stderr


def test_crf_from_the_command_line(dualseg, street, model, tmp_path):
    image = street / "images" / "0.png"
    command = ("predict", model, image, "--out", tmp_path / "out", "--crf")
    done = dualseg(*command, "--crf-set", "iterations=2", "--crf-set", "bi_rgb_std=10")
    assert done.code == 0, done.stderr
    assert Image.open(tmp_path / "out" / "0_labels.png").size == (56, 40)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (("--crf-set", "bi_w=1"), "--crf-set changes the CRF, which is off"),
        (("--tile", "100"), "--tile '100' is no size"),
        (("--tile", "100x100"), "use 96"),
        (("--write", "labels,overly"), "did you mean overlay"),
    ],
)
def test_options_that_cannot_be(dualseg, street, model, tmp_path, options, message):
    done = dualseg(
        "predict", model, street / "images" / "0.png", "--out", tmp_path / "out", *options
    )
    assert done.code == 2
    assert message in done.stderr


def test_processes_share_out_and_a_bad_image_ends_none(
    dualseg, street, model, tmp_path, monkeypatch
):
    (street / "images" / "0.png").write_bytes(b"x")
    monkeypatch.setenv("WORLD_SIZE", "2")
    codes, errors = [], ""
    for rank in ("0", "1"):
        monkeypatch.setenv("RANK", rank)
        done = dualseg("predict", model, street / "images", "--out", tmp_path / "out")
        codes.append(done.code)
        errors += done.stderr
    assert codes == [0, 0]
    assert "3 images predicted by process 0 of 2" in errors
    assert "4 images predicted by process 1 of 2" in errors
    assert "1 of 4 images could not be predicted" in errors
    assert len(list((tmp_path / "out").glob("*_labels.png"))) == 7


def test_crf_search_prints_the_best_settings(street, model, capsys):
    crf_search.crf_search(
        str(model),
        data=str(street),
        split="train",
        images=2,
        bi_w="3,5",
        bi_xy_std="10",
        bi_rgb_std="3,10",
        crf_set=["iterations=2"],
        device="cpu",
    )
    printed = capsys.readouterr()
    assert "CRF settings by mIoU on 2 images of train" in printed.out
    assert printed.out.count("iterations=2") >= 4
    assert "no CRF" in printed.out
    few = {"bi_w": "3", "bi_xy_std": "10", "bi_rgb_std": "3", "crf_set": ["iterations=1"]}
    crf_search.crf_search(str(model), data=str(street), images=1, device="cpu", **few)
    assert "CRF settings by mIoU on 1 image of val" in capsys.readouterr().out
    with pytest.raises(InputError, match="'a' are no numbers"):
        crf_search.crf_search(str(model), data=str(street), bi_w="a")


def test_a_name_that_is_too_long_is_no_model_and_no_input(dualseg, street, model, tmp_path):
    image, out = street / "images" / "0.png", tmp_path / "out"
    for suffix in ("", ".safetensors", ".onnx"):
        done = dualseg("predict", "x" * 300 + suffix, image, "--out", out)
        assert done.code == 2, done.stderr
        assert "there is no " in done.stderr
    done = dualseg("predict", model, "x" * 300, "--out", out)
    assert (done.code, "there is no file or folder" in done.stderr) == (2, True)


def test_json_names_a_file_whose_name_is_no_utf_8(dualseg, street, model, tmp_path):
    image = os.fsdecode(os.fsencode(street / "images") + b"/\xff\xe9.png")
    os.rename(street / "images" / "0.png", image)
    done = dualseg("predict", model, image, "--out", tmp_path / "out", "--json")
    assert done.code == 0, done.stderr
    assert done.json["files"][0]["image"] == image
