"""The layers of our heads once more, from their weights alone: what the tests compare against."""

import torch
import torch.nn.functional as F
from torch import nn

from dualseg.models.backbones.features import FeatureInfo


def with_random_norms(module):
    """Evaluation mode, and batch norms that do something."""
    for layer in module.modules():
        if isinstance(layer, nn.BatchNorm2d):
            layer.running_mean.normal_(0, 0.3)
            layer.running_var.uniform_(0.5, 2)
            nn.init.uniform_(layer.weight, 0.5, 1.5)
            nn.init.normal_(layer.bias, 0, 0.3)
    return module.eval()


def random_features(feature_info, size, batch=2):
    """Feature maps of an image of that size."""
    height, width = size
    return [torch.randn(batch, c, -(-height // s), -(-width // s)) for c, s in feature_info]


def info(*channels_and_strides):
    return [FeatureInfo(channels, stride) for channels, stride in channels_and_strides]


def parameters_without_gradient(module):
    return [name for name, parameter in module.named_parameters() if parameter.grad is None]


def renamed(module, names):
    """Its state dict with every key's beginning exchanged as `names` says."""
    weights = {}
    for key, tensor in module.state_dict().items():
        for old in sorted(names, key=len, reverse=True):
            if key.startswith(old + "."):
                weights[names[old] + key[len(old) :]] = tensor
                break
    return weights


class Weights:
    """Layers by the key of their weights, of the kernel size they must have; batch norm as its
    formula says."""

    def __init__(self, module):
        self.tensors = module.state_dict()

    def conv(self, key, maps, *, size=3, stride=1, dilation=1, groups=1):
        weight = self.tensors[f"{key}.weight"]
        assert weight.shape[-2:] == (size, size), key
        return F.conv2d(
            maps,
            weight,
            self.tensors.get(f"{key}.bias"),
            stride,
            dilation * (size // 2),
            dilation,
            groups,
        )

    def norm(self, key, maps):
        mean, var, weight, bias = (
            self.tensors[f"{key}.{name}"][:, None, None]
            for name in ("running_mean", "running_var", "weight", "bias")
        )
        return (maps - mean) / (var + 1e-5).sqrt() * weight + bias

    def conv_bn(self, key, maps, *, size=3, stride=1, dilation=1, groups=1):
        maps = self.conv(
            f"{key}.0", maps, size=size, stride=stride, dilation=dilation, groups=groups
        )
        return self.norm(f"{key}.1", maps)

    def conv_bn_relu(self, key, maps, *, size=3, stride=1, dilation=1):
        return self.conv_bn(key, maps, size=size, stride=stride, dilation=dilation).relu()

    def image_pooling(self, key, maps):
        mean = maps.mean((2, 3), keepdim=True)
        pooled = self.norm(f"{key}.norm", self.conv(f"{key}.conv", mean, size=1)).relu()
        return pooled.expand(-1, -1, *maps.shape[-2:])


def enlarge(maps, like, *, align_corners=False):
    return F.interpolate(maps, size=like.shape[-2:], mode="bilinear", align_corners=align_corners)
