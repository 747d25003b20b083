"""What is drawn of a network: known pictures in known places, and nothing about it changes."""

import copy

import numpy as np
import pytest
import torch
from tiny import LABELS, TinyDataset, TinyNetwork

from dualseg.config import TrackingSettings
from dualseg.core.facts import ModelFacts
from dualseg.core.geometry import shrink_images
from dualseg.core.outputs import SegmentationOutput
from dualseg.inference.predictor import batch_of_one
from dualseg.models.catalog import create_model
from dualseg.training.records.trackers.draw import draw_network
from dualseg.training.records.trackers.pictures import show_samples, super_resolution
from dualseg.training.records.trackers.trackers import Trackers

FACTS = ModelFacts(architecture={}, labels=LABELS, input_scale=0.5)


class AlwaysBright(torch.nn.Module):
    """Predicts the second class everywhere."""

    def forward(self, images):
        logits = torch.zeros(len(images), 2, *images.shape[-2:])
        logits[:, 1] = 1.0
        return SegmentationOutput(logits)


def samples(network, dataset, count, facts=FACTS):
    shown = {}
    show_samples(
        network, dataset, facts=facts, count=count, precision="fp32", show=shown.__setitem__
    )
    return shown


def test_a_sample_is_image_label_and_prediction_side_by_side():
    dataset = TinyDataset(5, "val")
    shown = samples(AlwaysBright(), dataset, 1)
    assert list(shown) == ["samples/val_000"]
    image, label, preds = np.split(shown["samples/val_000"], 3, axis=1)
    np.testing.assert_array_equal(image, dataset.image(0))
    assert (label[dataset.label_map(0) == 1] == 255).all()
    assert (label[dataset.label_map(0) == 0] == 0).all()
    assert (preds == 255).all()


@pytest.mark.parametrize(
    ("count", "places"), [(0, []), (1, [0]), (2, [0, 4]), (3, [0, 2, 4]), (99, [0, 1, 2, 3, 4])]
)
def test_samples_are_evenly_spaced(count, places):
    shown = samples(AlwaysBright(), TinyDataset(5, "val"), count)
    assert list(shown) == [f"samples/val_{place:03d}" for place in places]


def dsrl_network():
    torch.manual_seed(0)
    network = create_model("fcn", backbone="resnet18", num_classes=2, dsrl={"stage": 2})
    return network.train()


def test_super_resolution_shows_input_reconstruction_and_image():
    network, dataset = dsrl_network(), TinyDataset(1, "val")
    with torch.no_grad():  # a decoder that answers zero: the mean colour
        for parameter in network.sisr_decoder.parameters():
            parameter.zero_()
    shown = samples(network, dataset, 1)
    assert list(shown) == ["samples/val_000", "super_resolution/val_000"]
    enlarged, made, image = np.split(shown["super_resolution/val_000"], 3, axis=1)
    np.testing.assert_array_equal(image, dataset.image(0))
    expected = np.round(np.array(FACTS.mean) * 255)
    assert np.abs(made.astype(float) - expected).max() <= 1
    shrunk = shrink_images(batch_of_one(dataset.image(0)).float(), 0.5)[0].permute(1, 2, 0)
    assert np.abs(enlarged[::2, ::2] - shrunk.clamp(0, 255).numpy()).max() <= 1
    np.testing.assert_array_equal(enlarged[::2], enlarged[1::2])


@pytest.mark.parametrize(("height", "width", "scale"), [(21, 33, 0.5), (40, 24, 0.25)])
def test_super_resolution_has_the_size_of_the_image(height, width, scale):
    facts = ModelFacts(architecture={}, labels=LABELS, input_scale=scale)
    image = np.zeros((height, width, 3), np.uint8)
    assert super_resolution(dsrl_network().eval(), image, facts).shape == (height, 3 * width, 3)


def test_drawing_changes_neither_the_network_nor_the_random_numbers():
    network = dsrl_network()
    before, random = copy.deepcopy(network.state_dict()), torch.get_rng_state()
    samples(network, TinyDataset(3, "val"), 2)
    assert network.training
    assert all(torch.equal(before[name], value) for name, value in network.state_dict().items())
    assert torch.equal(random, torch.get_rng_state())


class Names:
    def __init__(self):
        self.pictures, self.histograms = [], {}

    def numbers(self, values, step):
        raise AssertionError("no number is drawn")

    def picture(self, name, picture, step):
        self.pictures.append((name, step))

    def histogram(self, name, values, step):
        self.histograms[name] = (values.shape, step)

    def close(self):
        pass


@pytest.mark.parametrize("histograms", [False, True])
def test_histograms_are_of_every_weight_and_on_demand(histograms):
    names, network = Names(), TinyNetwork()
    draw_network(
        network,
        7,
        trackers=Trackers({"names": names}, report=pytest.fail),
        settings=TrackingSettings(pictures=1, histograms=histograms),
        dataset=TinyDataset(3, "val"),
        facts=FACTS,
        precision="fp32",
    )
    weights = {f"weights/{n}": ((p.numel(),), 7) for n, p in network.named_parameters()}
    assert names.pictures == [("samples/val_000", 7)]
    assert names.histograms == (weights if histograms else {})
