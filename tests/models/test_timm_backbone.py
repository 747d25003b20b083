import pytest
import torch
from safetensors.torch import save_file

from dualseg.core.errors import InputError
from dualseg.models.backbones.timm_backbone import TimmBackbone, list_backbones


@pytest.mark.parametrize(
    ("stem", "first_channels"), [("b", [3, 64]), ("c", [3, 32, 32, 64]), ("s", [3, 64, 64, 128])]
)
def test_stems_have_the_published_widths(stem, first_channels):
    body = TimmBackbone("resnet18", stem=stem).body
    convolutions = [
        m for n, m in body.named_modules() if n.startswith("conv1") and hasattr(m, "kernel_size")
    ]
    widths = [convolutions[0].in_channels] + [c.out_channels for c in convolutions]
    assert widths == first_channels


def test_a_local_file_gives_the_weights_back(tmp_path):
    first = TimmBackbone("resnet18")
    save_file(
        {**first.body.state_dict(), "fc.weight": torch.zeros(10, 512)}, tmp_path / "w.safetensors"
    )
    second = TimmBackbone("resnet18", pretrained=str(tmp_path / "w.safetensors"))
    for key, value in first.state_dict().items():
        assert torch.equal(second.state_dict()[key], value), key


def test_weights_of_another_network_are_refused_with_the_keys(tmp_path):
    save_file(TimmBackbone("resnet18").body.state_dict(), tmp_path / "w.safetensors")
    with pytest.raises(InputError, match=r"does not fit this backbone(?s:.)*of another shape"):
        TimmBackbone("resnet50", pretrained=str(tmp_path / "w.safetensors"))


def test_a_pickle_is_not_executed(tmp_path):
    class Payload:
        def __reduce__(self):
            return (open, (str(tmp_path / "executed"), "w"))

    torch.save({"a": Payload()}, tmp_path / "w.pth")
    with pytest.raises(InputError, match="holds more than tensors and is refused"):
        TimmBackbone("resnet18", pretrained=str(tmp_path / "w.pth"))
    assert not (tmp_path / "executed").exists()


def test_a_missing_file_is_named():
    with pytest.raises(InputError, match=r"there is no weights file nowhere\.safetensors"):
        TimmBackbone("resnet18", pretrained="nowhere.safetensors")


def test_a_download_that_fails_says_what_to_do(monkeypatch):
    import timm

    def fail(*_args, **_kwargs):
        raise OSError("no route to host")

    monkeypatch.setattr(timm, "create_model", fail)
    with pytest.raises(
        InputError, match=r"no route to host(?s:.)*path of a timm \.safetensors file, or false"
    ):
        TimmBackbone("resnet18", pretrained=True)


def test_an_unknown_backbone_lists_the_nearest():
    with pytest.raises(InputError, match="did you mean resnet18"):
        TimmBackbone("resnet81")


def test_a_stem_on_another_family_is_refused():
    with pytest.raises(InputError, match="mobilenet_v2 has its own"):
        TimmBackbone("mobilenet_v2", stem="c")


def test_a_backbone_that_cannot_be_dilated_is_refused():
    with pytest.raises(InputError, match=r"any size|output_stride"):
        TimmBackbone("vit_tiny_patch16_224", output_stride=8)


def test_our_names_come_first():
    assert list_backbones()[:2] == ["resnet18", "resnet34"]
