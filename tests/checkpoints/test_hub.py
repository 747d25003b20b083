"""Models by address on the hub; the hub itself is replaced, since tests have no network."""

import huggingface_hub
import pytest
import torch
from huggingface_hub import errors

import dualseg
from dualseg.checkpoints.model_files import save_model
from dualseg.core.errors import InputError
from dualseg.core.facts import ModelFacts, default_labels


@pytest.fixture
def hub(monkeypatch):
    """What the hub answers: a folder, or an error to raise. Keeps what was asked."""

    class Hub:
        answer = None
        asked = ()

        def __call__(self, name, *, revision, allow_patterns):
            self.asked = name, revision, tuple(allow_patterns)
            if isinstance(self.answer, Exception):
                raise self.answer
            return str(self.answer)

    fake = Hub()
    monkeypatch.setattr(huggingface_hub, "snapshot_download", fake)
    return fake


def test_a_model_is_loaded_by_its_address(hub, tmp_path):
    torch.manual_seed(0)
    network = dualseg.create_model("fcn", backbone="resnet18", num_classes=3)
    save_model(tmp_path, network, ModelFacts(network.architecture, default_labels(3)))
    hub.answer = tmp_path

    loaded = dualseg.load_model("hf://someone/streets@v2")

    assert hub.asked == ("someone/streets", "v2", ("model.safetensors", "model.json"))
    weights = network.state_dict()
    assert all(torch.equal(tensor, weights[key]) for key, tensor in loaded.state_dict().items())


def test_a_repository_without_our_files_is_refused(hub, tmp_path):
    (tmp_path / "model.safetensors").write_bytes(b"")
    hub.answer = tmp_path

    with pytest.raises(InputError, match=r"no model of dualseg: it has no model\.json.*import"):
        dualseg.load_model("hf://someone/else")


@pytest.mark.parametrize("address", ["hf://one", "hf://a/b/c", "hf:///name", "hf://owner/"])
def test_an_address_of_another_form_is_refused_before_anything_is_asked(hub, address):
    with pytest.raises(InputError, match="it is hf://owner/name"):
        dualseg.load_model(address)
    assert hub.asked == ()


@pytest.mark.parametrize(
    ("error", "message"),
    [
        (errors.LocalEntryNotFoundError("no connection"), "without a network only models fetched"),
        (OSError("disk"), r"cannot be fetched \(disk\)"),
        (errors.HFValidationError("bad name"), "is no address on the hub: bad name"),
    ],
)
def test_what_goes_wrong_is_said_in_one_message(hub, error, message):
    hub.answer = error

    with pytest.raises(InputError, match=message):
        dualseg.load_model("hf://someone/streets")
