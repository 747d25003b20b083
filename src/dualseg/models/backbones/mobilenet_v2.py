"""What published MobileNetV2s differ in: where zeros are put around the map."""

from torch import nn


def move_padding_before_expansion(body: nn.Module) -> None:
    """Puts the zeros around each block's input, not around what its expansion makes of it.

    The depthwise convolution then sees, at the border, what batch norm and ReLU6 make of a zero.
    Written as padding of the 1x1 expansion, which is the same. Blocks without expansion pad the
    depthwise's own input either way. Call it after the dilations are final.

    Source: jfzhang95/pytorch-deeplab-xception and VainF/DeepLabV3Plus-Pytorch (`fixed_padding`).
    """
    for block in body.modules():
        expansion, depthwise = getattr(block, "conv_pw", None), getattr(block, "conv_dw", None)
        if not isinstance(expansion, nn.Conv2d) or not isinstance(depthwise, nn.Conv2d):
            continue
        if expansion.in_channels < expansion.out_channels == depthwise.in_channels:
            expansion.padding, depthwise.padding = depthwise.padding, (0, 0)


def leave_stem_unpadded(body: nn.Module) -> None:
    """The first 3x3 convolution sees no zeros: its map is floor((H - 1) / 2) high.

    Features can then have one row and column less than ceil(H / stride).

    Source: VainF/DeepLabV3Plus-Pytorch, whose stem shares the blocks' unpadded convolution.
    """
    stem = body.conv_stem
    assert isinstance(stem, nn.Conv2d)
    stem.padding = (0, 0)
