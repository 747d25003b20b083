"""`dualseg benchmark`: figures of tiny networks, and what it says to wrong input."""

import xml.etree.ElementTree as ElementTree
from dataclasses import replace

import huggingface_hub
import pytest

from dualseg.checkpoints.model_files import save_model
from dualseg.cli import benchmark, benchmark_worker
from dualseg.core.errors import InputError
from dualseg.core.facts import ModelFacts, default_labels
from dualseg.export.rewrites.measure import bf16_is_native
from dualseg.models.catalog import create_model

TINY = ("--backbone", "mobilenet_v2", "--output-stride", "32", "--num-classes", "3")
QUICK = ("--size", "32x48", "--repeats", "2", "--threads", "1")


@pytest.fixture
def saved(tmp_path):
    """Folders of two networks, the second with a score."""
    model = create_model("fcn", backbone="mobilenet_v2", num_classes=3, output_stride=32)
    facts = ModelFacts(model.architecture, default_labels(3), training_size=(32, 64))
    save_model(tmp_path / "plain", model, facts)
    save_model(tmp_path / "scored", model, replace(facts, score=0.5))
    return tmp_path


def test_a_catalogue_network_in_two_runtimes(dualseg):
    runtimes = ("--runtime", "eager", "--runtime", "eager_bf16")
    found = dualseg("benchmark", "fcn", *TINY, *QUICK, *runtimes, "--json").json
    model = create_model("fcn", backbone="mobilenet_v2", num_classes=3, output_stride=32)
    assert found["parameters"] == sum(weight.numel() for weight in model.parameters())
    assert found["size"] == [32, 48]
    assert found["gflops"] > 0
    assert list(found["runtimes"]) == ["eager", "eager_bf16"]
    for own in found["runtimes"].values():
        assert own["latency_ms_p95"] >= own["latency_ms_median"] >= own["network_ms_median"] > 0
        assert own["images_per_second"] == pytest.approx(1000 / own["latency_ms_median"])
        assert own["peak_memory_mib"] > 50
        assert 0 < own["share_of_roof"] < 1.5
    assert [own["precision"] for own in found["runtimes"].values()] == ["fp32", "bf16"]


def test_a_model_on_the_hub_is_found_by_its_address(saved, monkeypatch):
    monkeypatch.setattr(
        huggingface_hub, "snapshot_download", lambda *_, **__: str(saved / "scored")
    )
    _, facts = benchmark_worker._load({"architecture": None, "model": "hf://me/net"})
    assert facts.score == 0.5


def test_several_models_with_a_plot_of_those_with_scores(dualseg, saved):
    plot = saved / "plot.svg"
    models = (saved / "plain", saved / "scored")
    quick = ("--repeats", "1", "--batch", "2", "--threads", "1", "--json")
    done = dualseg("benchmark", *models, *quick, "--plot", plot)
    assert [result["name"] for result in done.json["results"]] == ["plain", "scored"]
    assert done.json["size"] == [32, 64]  # the training size
    assert done.json["batch"] == 2
    texts = [node.text for node in ElementTree.parse(plot).iter() if node.tag.endswith("text")]
    assert "scored, eager" in texts
    assert "plain, eager" not in texts


def test_models_of_like_names_are_told_apart(dualseg, saved):
    (saved / "plain").rename(saved / "lr0.1")
    (saved / "scored").rename(saved / "lr0.01")
    (saved / "b").mkdir()
    (saved / "b" / "lr0.1").symlink_to(saved / "lr0.1")
    models = (saved / "lr0.1", saved / "lr0.01", saved / "b" / "lr0.1")
    done = dualseg("benchmark", *models, "--repeats", "1", "--threads", "1", "--json")
    assert [result["name"] for result in done.json["results"]] == [
        f"lr0.1 ({saved / 'lr0.1'})",
        "lr0.01",
        f"lr0.1 ({saved / 'b' / 'lr0.1'})",
    ]


def test_a_plot_of_several_sizes_names_them(dualseg, saved):
    plot = saved / "sizes.svg"
    sizes = ("--size", "32x64", "--size", "64x64")
    quick = ("--repeats", "1", "--threads", "1")
    done = dualseg("benchmark", saved / "scored", *sizes, *quick, "--plot", plot)
    texts = [node.text for node in ElementTree.parse(plot).iter() if node.tag.endswith("text")]
    assert "scored, eager, 32x64" in texts
    assert "scored, eager, 64x64" in texts
    assert "each score is that of the model's own training" in " ".join(done.stderr.split())


def test_dsrl_beside_its_host_at_once_and_twice_the_input(dualseg):
    done = dualseg("benchmark", "fcn", *TINY, *QUICK, "--dsrl", "--host", "--json").json
    names = [result["name"] for result in done["results"]]
    assert names == ["fcn + DSRL", "host at 1x input", "host at 2x input"]
    assert [result["input_size"] for result in done["results"]] == [[16, 24], [16, 24], [32, 48]]
    ours, once, twice = (result["gflops"] for result in done["results"])
    assert once < twice
    assert once < ours


def test_a_table_is_printed_without_json(dualseg):
    done = dualseg("benchmark", "fcn", *TINY, *QUICK)
    assert done.code == 0
    assert "of roof" in done.stdout
    assert "eager" in done.stdout
    assert "precision" in done.stdout
    assert "fp32" in done.stdout.splitlines()[-2]  # the row; the line above the table has it too


def test_openvino_computes_in_fp32_where_it_is_asked_to(dualseg):
    pytest.importorskip("openvino")
    runtimes = ("--runtime", "openvino", "--runtime", "openvino_fp32")
    done = dualseg("benchmark", "fcn", *TINY, *QUICK, *runtimes, "--json").json["runtimes"]
    native = "bf16" if bf16_is_native() else "fp32"
    precisions = {name: own["precision"] for name, own in done.items()}
    assert precisions == {"openvino": native, "openvino_fp32": "fp32"}


@pytest.mark.slow
@pytest.mark.parametrize("runtime", ["openvino", "onnxruntime"])
def test_exported_runtimes(dualseg, runtime):
    pytest.importorskip(runtime)
    pytest.importorskip("onnxscript")
    found = dualseg("benchmark", "fcn", *TINY, *QUICK, "--runtime", runtime, "--json").json
    assert found["runtimes"][runtime]["latency_ms_median"] > 0


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("fcn", "--num-classes", 3, "--size", "512"), "--size '512' is no size"),
        (("fcn", "--num-classes", 3, "--size", "0x9"), "--size '0x9' is no size"),
        (("fcn", "--num-classes", 3, "--runtime", "eagr"), "did you mean eager"),
        (("fcn", "--num-classes", 3, "--rewrites", "all"), "none, plain"),
        (("fcn",), "give --num-classes"),
        (("fcm", "--num-classes", 3), "there is no model 'fcm'"),
        (("fcm",), "did you mean fcn"),
        (("runs/none",), "there is no model at runs/none"),
        (("fcn", "--num-classes", 3, "--host"), "fcn is no DSRL network"),
        (("fcn", "--num-classes", 3, "--plot", "a.png"), "ends in .svg"),
        (("fcn", "--num-classes", 3, "--plot", "v1.5"), "name it v1.5.svg"),
        (("fcn", "--num-classes", 3, "--plot", "nodir/a.svg"), "there is no folder nodir"),
        (("fcn", "--num-classes", 3, "--size", "\u00b2x3"), "is no size"),
        (("fcn", "--num-classes", 3, "--backbone", "resnet51"), "resnet50"),
    ],
)
def test_wrong_input_ends_with_one_message(dualseg, arguments, message):
    done = dualseg("benchmark", *arguments)
    assert done.code == 2
    assert message in done.stderr
    assert done.stderr.count("error:") == 1
    assert "Traceback" not in done.stderr


def test_a_saved_model_takes_no_architecture(dualseg, saved):
    done = dualseg("benchmark", saved / "plain", "--num-classes", 3)
    assert done.code == 2
    assert "says itself what it is" in done.stderr


@pytest.mark.slow
def test_an_exported_file_in_a_runtime_that_opens_it(dualseg, saved):
    pytest.importorskip("onnxscript")
    pytest.importorskip("onnxruntime")
    file = saved / "scored.onnx"
    sized = ("--size", "32x48")
    assert dualseg("export", saved / "scored", "--format", "onnx", "--out", file, *sized).code == 0
    done = dualseg("benchmark", file, *QUICK, "--runtime", "onnxruntime", "--json").json
    assert done["runtimes"]["onnxruntime"]["latency_ms_median"] > 0
    assert done["results"][0]["score"] == 0.5
    network = dualseg("benchmark", saved / "scored", *QUICK, "--json").json
    assert (done["parameters"], done["gflops"]) == (network["parameters"], network["gflops"])
    wrong = dualseg("benchmark", file, *QUICK, "--runtime", "eager")
    assert wrong.code == 2
    assert "give --runtime" in wrong.stderr


def test_what_was_measured_is_shown_before_the_plot_is_written(dualseg, saved, monkeypatch):
    def fail(*_):
        raise InputError("cannot write the plot")

    measured = {"parameters": 1, "gflops": 1.0, "size": [32, 48], "runtimes": {}, "name": "scored"}
    measured["roof_gflops_per_second"] = {"fp32": 4321, "bf16": 1}
    monkeypatch.setattr(benchmark, "_measure", lambda *_: [measured])
    monkeypatch.setattr(benchmark, "_write_plot", fail)
    for way in ((), ("--json",)):
        done = dualseg("benchmark", saved / "scored", "--plot", saved / "p.svg", *way)
        assert (done.code, done.stderr) == (2, "error: cannot write the plot\n")
        assert "4321" in done.stdout
