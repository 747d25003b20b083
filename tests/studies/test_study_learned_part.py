"""What SSSR's learned part does, on a network whose learned part is known."""

from pathlib import Path

import pytest
import torch
from torch import nn

import camvid
from camvid_study.learned_part import (
    compare_without,
    measure_learned_part,
    without_learned_part,
)
from dualseg.core.facts import ModelFacts
from dualseg.data.datasets.camvid import open_camvid
from dualseg.inference.predictor import Predictor
from dualseg.models.catalog import create_model

ROAD = 3


@pytest.fixture
def model(tiny_camvid: Path) -> nn.Module:
    """Its learned part adds the same to one class everywhere."""
    torch.manual_seed(0)
    dsrl = {"stage": 1, "inference_only": True}
    network = create_model("deeplabv3plus", backbone="resnet18", num_classes=11, dsrl=dsrl).eval()
    labels = open_camvid(tiny_camvid, "val").labels
    network.facts = ModelFacts(network.architecture, labels, input_scale=0.5)
    with torch.no_grad():
        # Random features hardly differ from place to place; this makes the host's answers differ.
        coarse = network.predictor.coarse[0]
        mean = network.encode(torch.randn(1, 3, 48, 64)).features.mean((0, 2, 3))
        coarse.weight[[2, ROAD]] = torch.randn(2, mean.numel(), 1, 1)
        coarse.bias.copy_(-(coarse.weight[..., 0, 0] @ mean))
        network.predictor.predict.weight.zero_()
        network.predictor.predict.bias.zero_()
        network.predictor.predict.bias[ROAD] = 1e4
    return network


def test_without_its_learned_part_a_network_gives_its_hosts_enlarged_logits(model: nn.Module):
    images = torch.randn(1, 3, 32, 48)
    with torch.no_grad():
        logits, plain = model(images).logits, without_learned_part(model)(images).logits

    shift = torch.zeros(11)
    shift[ROAD] = 1e4
    torch.testing.assert_close(logits, plain + shift[:, None, None])


def test_what_is_changed_mended_and_spoilt_is_counted_on_known_pixels(
    model: nn.Module, tiny_camvid: Path
):
    dataset = open_camvid(tiny_camvid, "val")
    host = Predictor(without_learned_part(model))
    before = [host.predict_pixels(dataset.image(i)) for i in range(len(dataset))]
    truth = [dataset.label_map(i) for i in range(len(dataset))]

    found = compare_without(model, dataset)

    known = sum(int((target < 11).sum()) for target in truth)
    pairs = list(zip(before, truth, strict=True))
    changed = sum(int(((preds != ROAD) & (target < 11)).sum()) for preds, target in pairs)
    mended = sum(int(((preds != ROAD) & (target == ROAD)).sum()) for preds, target in pairs)
    spoilt = sum(int(((preds != ROAD) & (preds == target)).sum()) for preds, target in pairs)
    assert 0 < mended < changed < known
    assert spoilt
    assert found["changed"] == changed / known
    assert found["mended"] == mended / known
    assert found["spoilt"] == spoilt / known


def test_a_learned_part_that_adds_nothing_changes_nothing(model: nn.Module, tiny_camvid: Path):
    found = compare_without(without_learned_part(model), open_camvid(tiny_camvid, "val"))

    assert (found["changed"], found["mended"], found["spoilt"]) == (0, 0, 0)
    assert found["miou"] == found["miou_without"]


def test_without_its_learned_part_pixel_shuffle_enlarges_the_mean_of_each_block():
    dsrl = {"stage": 1, "inference_only": True, "sssr": "pixel_shuffle"}
    network = create_model("deeplabv3plus", backbone="resnet18", num_classes=11, dsrl=dsrl).eval()
    images = torch.randn(1, 3, 64, 96)
    with torch.no_grad():
        nn.init.normal_(network.predictor.predict[0].weight)
        logits = network(images).logits
        plain = without_learned_part(network)(images).logits

    means = logits.reshape(1, 11, 16, 8, 24, 8).mean((3, 5))  # stride 4, answered at stride 1/2
    enlarged = nn.functional.interpolate(means, size=(128, 192), mode="bilinear")
    torch.testing.assert_close(plain, enlarged)
    assert not torch.allclose(plain, logits, atol=0.1)


def test_a_decoder_that_only_enlarges_has_no_learned_part(tiny_camvid: Path):
    dsrl = {"stage": 1, "inference_only": True, "sssr": "bilinear"}
    network = create_model("deeplabv3plus", backbone="resnet18", num_classes=11, dsrl=dsrl)

    assert measure_learned_part(network, open_camvid(tiny_camvid, "val")) is None


def test_without_data_or_without_networks_it_says_so(
    tmp_path: Path, tiny_camvid: Path, capsys: pytest.CaptureFixture[str]
):
    assert camvid.main(["--out", str(tmp_path), "--networks"]) == 2
    assert "--networks needs --data" in capsys.readouterr().err

    given = ["--out", str(tmp_path), "--networks", "--data", str(tiny_camvid)]
    assert camvid.main(given) == 2
    assert "is finished yet" in capsys.readouterr().err
