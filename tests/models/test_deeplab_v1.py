from pathlib import Path

import torch
import torch.nn.functional as F

from dualseg.models.backbones.features import FeatureInfo
from dualseg.models.backbones.vgg import rename_weights
from dualseg.models.catalog import create_model
from dualseg.models.heads.deeplab_v1 import DeepLabV1Head
from reference.golden import compare, load_golden
from reference.random_weights import random_image, random_tensors

GOLDEN = Path(__file__).parents[1] / "reference" / "golden" / "networks"
INFO = (FeatureInfo(4, 4), FeatureInfo(6, 8))


def test_fc6_and_fc7_as_convolutions():
    head = DeepLabV1Head(INFO, channels=10).eval()
    features = [torch.randn(1, 4, 60, 60), torch.randn(1, 6, 30, 31)]
    fc6, fc7 = head.layers[0], head.layers[3]
    hidden = F.conv2d(features[1], fc6.weight, fc6.bias, padding=12, dilation=12).relu()
    expected = torch.einsum("oi,bihw->bohw", fc7.weight[:, :, 0, 0], hidden)
    expected = (expected + fc7.bias[:, None, None]).relu()
    torch.testing.assert_close(head(features).features, expected)


def test_the_published_widths():
    head = DeepLabV1Head(INFO)
    assert (head.out_channels, head.out_stride, head.dropout) == (1024, 8, 0.5)
    assert head.layers[0].weight.shape == (1024, 6, 3, 3)
    assert head.layers[0].dilation == (12, 12)


def test_dropout_stands_between_the_two():
    torch.manual_seed(0)
    head = DeepLabV1Head(INFO, channels=50).train()
    features = [torch.randn(1, 4, 8, 8), torch.randn(1, 6, 4, 4)]
    assert not torch.equal(head(features).features, head(features).features)


PLACES = {"32": "head.layers.0", "35": "head.layers.3", "38": "predictor.conv"}  # fc6, fc7, fc8


@torch.no_grad()
def test_the_catalogues_deeplab_v1_is_the_original():
    golden = load_golden(GOLDEN / "wangleihitcs_deeplabv1_vgg16.npz")
    model = create_model("deeplabv1", num_classes=21, backbone="vgg16", align_corners=True).eval()
    ours = {}
    for name, tensor in rename_weights(random_tensors(golden.shapes)).items():
        first, place, kind = name.split(".", 2)
        ours[f"{PLACES[place]}.{kind}" if first == "features" else f"backbone.{name}"] = tensor
    model.load_state_dict(ours)
    for size, sample in golden.outputs.items():
        compare(model(random_image(size)).logits, sample)
