import threading
from http.server import BaseHTTPRequestHandler, HTTPServer

import huggingface_hub
import pytest
import timm
import torch
import torchvision
from safetensors.torch import save_file

from dualseg.core.errors import InputError
from dualseg.models.backbones import weights
from dualseg.models.backbones.mobilenet_v3 import MobileNetV3Large
from dualseg.models.backbones.timm_backbone import TimmBackbone


def saved(tmp_path, tensors):
    path = tmp_path / "w.safetensors"
    save_file({k: v.contiguous() for k, v in tensors.items()}, path)
    return str(path)


@pytest.mark.parametrize(
    ("name", "output_stride"),
    [
        ("test_resnet", 32),
        ("test_convnext", 16),  # timm's extractor renames stages.0 to stages_0
        ("test_vit", 16),  # ... and moves everything below model
        ("test_efficientnet", 32),
        ("test_mambaout", 32),
    ],
)
def test_a_file_as_timm_publishes_it_fills_every_tensor(name, output_stride, tmp_path):
    published = timm.create_model(name, num_classes=7)
    for parameter in published.parameters():
        torch.nn.init.normal_(parameter)
    path = saved(tmp_path, published.state_dict())
    backbone = TimmBackbone(name, output_stride=output_stride, pretrained=path)
    values = {tuple(v.flatten()[:4].tolist()) for v in published.state_dict().values()}
    for key, tensor in backbone.body.named_parameters():
        assert tuple(tensor.flatten()[:4].tolist()) in values, key


def test_torchvisions_resnet_file_is_taken(tmp_path):
    theirs = torchvision.models.resnet18(weights=None)
    torch.save(theirs.state_dict(), tmp_path / "w.pth")
    ours = TimmBackbone("resnet18", pretrained=str(tmp_path / "w.pth"))
    for key, value in ours.body.state_dict().items():
        assert torch.equal(value, theirs.state_dict()[key]), key


def test_torchvisions_mobilenet_v3_file_is_taken(tmp_path):
    theirs = torchvision.models.mobilenet_v3_large(weights=None)
    path = saved(tmp_path, theirs.state_dict())
    ours = MobileNetV3Large(pretrained=path)
    for key, value in ours.body.state_dict().items():
        assert torch.equal(value, theirs.features.state_dict()[key]), key


def test_weights_of_another_network_are_refused_with_the_keys(tmp_path):
    path = saved(tmp_path, TimmBackbone("resnet18").body.state_dict())
    with pytest.raises(
        InputError,
        match=r"does not fit this backbone(?s:.)*missing: layer1\.0\.bn3(?s:.)*of another shape",
    ):
        TimmBackbone("resnet50", pretrained=path)


def test_tensors_left_over_within_the_network_are_refused(tmp_path):
    path = saved(tmp_path, TimmBackbone("resnet34").body.state_dict())
    with pytest.raises(InputError, match=r"\d+ unexpected: layer1\.2\.bn1"):
        TimmBackbone("resnet18", pretrained=path)


@pytest.mark.parametrize("in_channels", [3, 5])
@pytest.mark.parametrize(
    ("change", "fault"),
    [
        (lambda weight: weight.to(torch.int64), "1 no floating-point numbers: conv1.weight"),
        (lambda weight: weight.fill_(torch.nan), "1 with NaN or infinity: conv1.weight"),
        (lambda weight: weight.double().fill_(1e300), "1 with numbers too large for float32: conv"),
    ],
)
def test_weights_that_no_network_can_have_are_refused(change, fault, in_channels, tmp_path):
    state = TimmBackbone("resnet18").body.state_dict()
    path = saved(tmp_path, {**state, "conv1.weight": change(state["conv1.weight"].clone())})
    with pytest.raises(InputError, match=fault):
        TimmBackbone("resnet18", pretrained=path, in_channels=in_channels)


def test_a_pickle_is_not_executed(tmp_path):
    class Payload:
        def __reduce__(self):
            return (open, (str(tmp_path / "executed"), "w"))

    torch.save({"a": Payload()}, tmp_path / "w.pth")
    with pytest.raises(InputError, match="holds more than tensors and is refused"):
        TimmBackbone("resnet18", pretrained=str(tmp_path / "w.pth"))
    assert not (tmp_path / "executed").exists()


def test_a_training_checkpoint_is_no_plain_state_dict(tmp_path):
    torch.save({"model": {"a": torch.zeros(1)}, "epoch": 3}, tmp_path / "w.pth")
    with pytest.raises(InputError, match=r"w\.pth is no plain state dict; save the tensors alone"):
        weights.read_weights(tmp_path / "w.pth")


@pytest.mark.parametrize("content", ["<!doctype html>", "version https://git-lfs.github.com/spec"])
def test_a_page_or_a_pointer_saved_as_weights_is_told_to_be_downloaded_anew(content, tmp_path):
    (tmp_path / "w.pth").write_text(content)
    with pytest.raises(InputError, match=r"w\.pth is no weights file; .* download it anew"):
        weights.read_weights(tmp_path / "w.pth")


def test_a_missing_file_is_named():
    with pytest.raises(InputError, match=r"there is no weights file nowhere\.safetensors"):
        TimmBackbone("resnet18", pretrained="nowhere.safetensors")


def test_a_file_of_another_kind_is_refused(tmp_path):
    (tmp_path / "w.zip").touch()
    with pytest.raises(InputError, match=r"allowed are \.safetensors, \.pth, \.pt and \.bin"):
        weights.read_weights(tmp_path / "w.zip")


@pytest.fixture
def no_download(monkeypatch):
    """Fails where timm is asked to download."""

    def fail(*_args, **_options):
        pytest.fail("timm was asked to download")

    monkeypatch.setattr(timm, "create_model", fail)


@pytest.fixture
def empty_cache(monkeypatch):
    monkeypatch.setattr(huggingface_hub, "try_to_load_from_cache", lambda *_: None)


@pytest.mark.usefixtures("no_download", "empty_cache")
def test_a_dead_network_is_told_at_once(monkeypatch):
    # Nothing listens on port 9, so the connection is refused without waiting.
    monkeypatch.setattr(huggingface_hub.constants, "ENDPOINT", "http://127.0.0.1:9")
    with pytest.raises(
        InputError, match=r"127\.0\.0\.1:9 does not answer(?s:.)*path of a \.safetensors file, or"
    ):
        TimmBackbone("resnet18", pretrained=True)


@pytest.mark.usefixtures("no_download", "empty_cache")
def test_a_download_that_fails_says_what_to_do(monkeypatch):
    def fail(*_args, **_options):
        raise OSError("no route to host")

    monkeypatch.setattr(huggingface_hub, "hf_hub_download", fail)
    monkeypatch.setattr(weights, "_answers", lambda _: True)
    with pytest.raises(
        InputError, match=r"no route to host(?s:.)*path of a \.safetensors file, or false"
    ):
        TimmBackbone("resnet18", pretrained=True)


def test_a_cached_download_needs_no_network(monkeypatch, tmp_path):
    published = timm.create_model("resnet18")
    path = saved(tmp_path, published.state_dict())
    monkeypatch.setattr(huggingface_hub, "try_to_load_from_cache", lambda *_: path)
    monkeypatch.setattr(weights, "_answers", lambda _: pytest.fail("the network was asked"))
    body = TimmBackbone("resnet18", pretrained=True).body
    for key, value in body.state_dict().items():
        assert torch.equal(value, published.state_dict()[key]), key


@pytest.mark.parametrize(
    ("name", "stem"), [("resnet50", "e"), ("resnet18", "c"), ("resnet34", "s")]
)
@pytest.mark.usefixtures("no_download")
def test_weights_that_nobody_publishes_are_refused(name, stem):
    with pytest.raises(InputError, match=f"nobody publishes {name} weights with stem {stem}"):
        TimmBackbone(name, stem=stem, pretrained=True)


def test_any_answer_counts_as_an_answer():
    class NotFound(BaseHTTPRequestHandler):
        def do_HEAD(self):
            self.send_error(404)

        def log_message(self, *_):
            pass

    server = HTTPServer(("127.0.0.1", 0), NotFound)
    thread = threading.Thread(target=server.handle_request)
    thread.start()
    assert weights._answers(f"http://127.0.0.1:{server.server_port}")
    thread.join()
    server.server_close()
    assert not weights._answers("http://127.0.0.1:9")
