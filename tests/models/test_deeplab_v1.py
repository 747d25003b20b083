import torch
import torch.nn.functional as F

from dualseg.models.backbones.features import FeatureInfo
from dualseg.models.heads.deeplab_v1 import DeepLabV1Head

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
