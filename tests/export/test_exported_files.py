"""What `dualseg export` writes answers as the network, in every runtime and at every size."""

import json
from dataclasses import replace
from shutil import which

import numpy as np
import pytest
import torch

import dualseg
from dualseg.core.errors import InputError
from dualseg.core.facts import default_labels
from dualseg.core.image_spec import ImageSpec
from dualseg.data.catalog import open_dataset
from dualseg.evaluation.evaluate import evaluate
from dualseg.export.exported import Entries, Exported
from dualseg.export.loading import facts_of, load_exported
from dualseg.export.note import ExportNote
from dualseg.export.write import export_model
from dualseg.inference.strategies import whole

IN_RUNTIME = [
    ("onnx", "onnxruntime"),
    ("onnx", "openvino"),
    ("openvino", "openvino"),
    ("torch", "eager"),
    ("torch", "openvino"),
]
SUFFIX = {"onnx": ".onnx", "openvino": ".xml", "torch": ".pt2"}
PACKAGE = {"onnx": "onnxscript", "openvino": "openvino", "onnxruntime": "onnxruntime"}
TINY = {"size": (64, 96), "with_label_map": False}
SLOW = pytest.mark.slow


def need(name):
    """Skips where the format or runtime is not installed."""
    pytest.importorskip(PACKAGE.get(name, "torch"))


def images(batch, height, width):
    generator = torch.Generator().manual_seed(3)
    size = (batch, 3, height, width)
    return torch.randint(256, size, dtype=torch.uint8, generator=generator)


def assert_close(found, expected):
    assert found.shape == expected.shape
    assert (found - expected).abs().max() <= 1e-4 * expected.abs().max()


@pytest.mark.parametrize(("name", "runtime"), IN_RUNTIME)
def test_logits_are_the_networks(network, file_of, name, runtime):
    need(runtime)
    exported = load_exported(file_of(name), runtime=runtime)
    for size in [(1, 64, 96), (3, 65, 83), (1, 33, 150)]:
        given = images(*size)
        assert_close(exported.logits(given), whole(network, network.facts)(given))


@pytest.mark.parametrize(("name", "runtime"), IN_RUNTIME)
def test_it_takes_the_place_of_the_network(network, file_of, name, runtime):
    need(runtime)
    exported = load_exported(file_of(name), runtime=runtime)
    given = torch.randn(2, 3, 47, 70)
    with torch.no_grad():
        assert_close(exported(given).logits, network(given).logits)
    assert exported.facts == network.facts
    assert exported.architecture == dict(network.architecture)
    assert not exported.training


@pytest.mark.parametrize(("dsrl", "dtype"), [(True, torch.float16), (False, torch.float32)])
def test_only_full_size_logits_of_bf16_files_are_halves(
    small_network, tmp_path, image, dsrl, dtype
):
    need("openvino")
    network = small_network(dsrl=dsrl, input_scale=0.5 if dsrl else 1.0)
    path = tmp_path / "small.xml"
    export_model(network, path, format_name="openvino", precision="bf16", **TINY)
    exported = load_exported(path)
    given = images(1, 64, 96)
    assert exported.raw_logits(given).dtype == dtype
    logits = exported.logits(given)
    assert logits.dtype == torch.float32
    found = exported.label_map(given[0].permute(1, 2, 0).numpy())
    np.testing.assert_array_equal(found, logits[0].argmax(0).numpy())


@pytest.mark.parametrize(("size", "is_left"), [((64, 128), True), ((64, 96), False), (None, False)])
@pytest.mark.parametrize(("name", "runtime"), [("openvino", "openvino"), ("torch", "eager")])
@pytest.mark.parametrize("kind", ["bilinear", "bilinear_convolution"])
def test_a_bilinear_decoders_enlargement_is_left_to_the_loader(
    small_network, tmp_path, kind, name, runtime, size, is_left
):
    need(runtime)
    network = small_network(
        dsrl={"sssr": kind}, input_scale=0.5, backbone="resnet18", output_stride=32
    )
    path = tmp_path / f"small{SUFFIX[name]}"
    export_model(network, path, format_name=name, size=size, gate_sizes=((32, 48), (33, 41)))
    exported = load_exported(path)
    given = images(1, *(size or (64, 128)))
    assert (exported.raw_logits(given).shape[-1] < given.shape[-1]) == is_left
    assert_close(exported.logits(given), whole(network, network.facts)(given))
    inputs = torch.randn(1, 3, given.shape[-2] // 2, given.shape[-1] // 2)
    with torch.no_grad():
        assert_close(exported(inputs).logits, network(inputs).logits)


@pytest.mark.parametrize("name", SUFFIX)
def test_load_model_predictor_and_evaluate_take_it(network, file_of, image, name):
    path = file_of(name)
    expected = dualseg.Predictor(network)(image)
    np.testing.assert_array_equal(dualseg.Predictor(path)(image), expected)
    assert dualseg.load_model(path).label_map(image).tolist() == expected.tolist()


@pytest.mark.parametrize("name", SUFFIX)
def test_evaluate_scores_a_file_as_the_network(network, file_of, name):
    ours = evaluate(network, Boxes()).scores
    assert evaluate(dualseg.load_model(file_of(name)), Boxes()).scores == ours
    assert 0 < ours.pixel_accuracy < 1


@pytest.mark.parametrize("precision", ["fp32", "bf16", "int8"])
def test_the_precision_beside_a_score_is_the_files(network, precision):
    """Whatever the runtime, the note of the file says it."""

    def session(array):
        return [torch.from_numpy(array[:, :1].astype("float32")).repeat(1, 4, 1, 1)]

    note = ExportNote(precision, (50, 70), final_logits=True, has_label_map=False, parity={})
    entries = Entries(lambda: session, lambda: session)
    exported = Exported(entries, network.facts, note, runtime="openvino")
    assert evaluate(exported, Boxes()).protocol["precision"] == precision


@pytest.mark.parametrize(("name", "smallest"), [("onnx", 32), ("openvino", 32), ("torch", 1)])
def test_an_image_smaller_than_a_graph_takes_is_refused_in_its_own_size(
    small_network, tmp_path, name, smallest
):
    need(name)
    network = small_network(input_scale=0.5)
    network.backbone.smallest = 32  # as pvt_v2_b0 and others have it: below, the network pads
    path = tmp_path / f"small{SUFFIX[name]}"
    export_model(network, path, format_name=name, gate_sizes=((64, 96), (65, 83)))
    exported = dualseg.load_model(path)
    predict = dualseg.Predictor(exported)
    assert predict(np.zeros((64, 90, 3), np.uint8)).shape == (64, 90)
    small = np.zeros((40, 90, 3), np.uint8)
    if smallest == 1:
        assert predict(small).shape == (40, 90)
        return
    says = "the image is 40x90, 20x45 for the network, but in .* takes no side below 32; the netw"
    with pytest.raises(InputError, match=says):
        predict(small)


class Boxes:
    """Two images of noise with a box of another class."""

    labels = default_labels(4)
    split = "val"

    def __len__(self):
        return 2

    def name(self, index):
        return str(index)

    def image(self, index):
        return np.random.default_rng(index).integers(0, 256, (50, 70, 3), dtype=np.uint8)

    def label_map(self, index):
        label_map = np.zeros((50, 70), np.uint8)
        label_map[10:30, 20:60] = 1 + index
        return label_map

    def image_path(self, index):
        return None

    def label_path(self, index):
        return None


def test_the_onnx_file_needs_nothing_of_dualseg(network, file_of, image):
    runtime = pytest.importorskip("onnxruntime")
    session = runtime.InferenceSession(str(file_of("onnx")), providers=["CPUExecutionProvider"])
    assert [i.name for i in session.get_inputs()] == ["images"]
    (label_map,) = session.run(["label_map"], {"images": image.transpose(2, 0, 1)[None]})
    np.testing.assert_array_equal(label_map[0], dualseg.Predictor(network)(image))
    assert label_map.dtype == np.uint8
    texts = session.get_modelmeta().custom_metadata_map
    assert json.loads(texts["dualseg.facts"])["num_classes"] == 4


def test_the_openvino_file_needs_nothing_of_dualseg(network, file_of, image):
    openvino = pytest.importorskip("openvino")
    settings = {"INFERENCE_PRECISION_HINT": "f32"}
    compiled = openvino.Core().compile_model(str(file_of("openvino")), "CPU", settings)
    found = compiled({"images": image.transpose(2, 0, 1)[None]})
    np.testing.assert_array_equal(found["label_map"][0], dualseg.Predictor(network)(image))


def test_the_program_needs_nothing_of_dualseg(network, file_of, image):
    extra = {"dualseg.facts": ""}
    program = torch.export.load(file_of("torch"), extra_files=extra)
    given = torch.from_numpy(image.transpose(2, 0, 1)[None].copy())
    found = program.module()(images=given)["label_map"]
    np.testing.assert_array_equal(found[0], dualseg.Predictor(network)(image))
    assert json.loads(extra["dualseg.facts"])["num_classes"] == 4


@pytest.mark.parametrize("name", SUFFIX)
def test_no_file_names_a_folder_of_this_machine(file_of, name):
    content = file_of(name).read_bytes()
    assert b"site-packages" not in content
    assert b"/src/dualseg" not in content


@pytest.mark.parametrize(
    "name",
    ["openvino", pytest.param("onnx", marks=SLOW), pytest.param("torch", marks=SLOW)],
)
def test_shrink_decoder_and_adaptive_pooling_hold_at_every_size(small_network, tmp_path, name):
    need(name)
    network = small_network("pspnet", input_scale=0.5, dsrl=True)
    path = tmp_path / f"shrunk{SUFFIX[name]}"
    export_model(network, path, format_name=name, gate_sizes=((32, 48), (33, 41)))
    given = images(1, 71, 94)
    assert_close(load_exported(path).logits(given), whole(network, network.facts)(given))


@pytest.mark.parametrize("name", SUFFIX)
def test_a_fixed_size_takes_no_other(small_network, tmp_path, name):
    need(name)
    network = small_network(input_scale=0.5, dsrl=True)
    path = tmp_path / f"fixed{SUFFIX[name]}"
    parity = export_model(network, path, format_name=name, size=(66, 93), with_label_map=False)
    assert parity.sizes == ((66, 93),)
    exported = load_exported(path)
    given = images(2, 66, 93)
    assert_close(exported.logits(given), whole(network, network.facts)(given))
    with pytest.raises(InputError, match="is 65x96, but the file was exported for 66x93"):
        exported.logits(images(1, 65, 96))


@pytest.mark.parametrize("runtime", ["eager", "openvino"])
def test_deep_images_of_a_fixed_size_are_shrunk_once(small_network, tmp_path, runtime):
    """Whole images and the network's own input are both float32 there."""
    need(runtime)
    network = small_network(input_scale=0.5)
    network.facts = replace(network.facts, images=ImageSpec(max_value=65535.0))
    path = tmp_path / "deep.pt2"
    export_model(network, path, format_name="torch", **TINY)
    given = 255 * torch.rand(2, 3, 64, 96, generator=torch.Generator().manual_seed(0))
    exported = load_exported(path, runtime=runtime)
    assert exported.raw_logits(given).shape[2:] == (32, 48)
    assert_close(exported.logits(given), whole(network, network.facts)(given))


@pytest.mark.parametrize("name", ["openvino", "torch"])
def test_openvino_itself_refuses_another_size(small_network, tmp_path, name):
    need("openvino")
    network = small_network(input_scale=0.5)
    path = tmp_path / f"fixed{SUFFIX[name]}"
    export_model(network, path, format_name=name, **TINY)
    exported = load_exported(path, runtime="openvino")
    for entry, dtype, wrong in (
        ("images", "uint8", (65, 96)),
        ("network_input", "float32", TINY["size"]),
    ):
        with pytest.raises(InputError, match=r"OpenVINO, given 1x3x.* cannot run the network"):
            getattr(exported.entries, entry)()(np.zeros((1, 3, *wrong), dtype))


@pytest.mark.parametrize("name", ["openvino", "torch"])
def test_bf16_answers_nearly_as_fp32(network, tmp_path, name):
    need(name)
    path = tmp_path / f"half{SUFFIX[name]}"
    parity = export_model(network, path, format_name=name, precision="bf16", **TINY)
    assert 1e-5 < parity.relative < 0.05
    assert load_exported(path).note.precision == "bf16"


@pytest.mark.parametrize("name", ["openvino", "onnx"])
def test_int8_is_calibrated(small_network, tmp_path, name):
    """Depthwise convolutions, which one runtime takes in one form only."""
    pytest.importorskip("nncf")
    need(name)
    network = small_network(backbone="test_efficientnet")
    scenes = open_dataset("streets", split="val")
    path = tmp_path / f"small{SUFFIX[name]}"
    parity = export_model(
        network,
        path,
        format_name=name,
        precision="int8",
        calibration=lambda: (scenes.image(i) for i in range(4)),
        **TINY,
    )
    assert 1e-4 < parity.relative < 0.3
    assert parity.agreement >= 0.97
    exported = load_exported(path)
    given = images(1, *TINY["size"])
    found, expected = exported.logits(given), whole(network, network.facts)(given)
    assert 1e-4 < (found - expected).abs().max() / expected.abs().max() < 0.3


@pytest.mark.slow
def test_a_compiled_network_answers_alike(network, file_of):
    if not any(which(name) for name in ("g++", "clang++")):
        pytest.skip("no C++ compiler")
    exported = load_exported(file_of("torch"), runtime="compiled")
    for size in [(1, 64, 96), (2, 65, 83)]:
        given = images(*size)
        assert_close(exported.logits(given), whole(network, network.facts)(given))


def test_what_the_gate_measured_stands_in_the_file(file_of):
    parity = load_exported(file_of("torch")).note.parity
    assert parity["relative"] <= 1e-4
    assert parity["sizes"] == [[64, 96], [65, 83]]


def test_images_with_other_bands_are_refused(file_of):
    with pytest.raises(InputError, match="got images with 4 bands; the network was trained on 3"):
        load_exported(file_of("torch")).logits(torch.zeros(1, 4, 32, 32, dtype=torch.uint8))


def test_a_precision_beside_a_file_is_refused(file_of):
    with pytest.raises(InputError, match="computes in the precision it was exported in"):
        dualseg.Predictor(file_of("torch"), precision="bf16")


@pytest.mark.parametrize("name", SUFFIX)
def test_facts_are_read_without_a_runtime(network, file_of, name):
    assert facts_of(file_of(name)) == network.facts
