"""MobileNetV2 in the naming of torchvision and its ports: `features.0` to `features.17`."""

from collections.abc import Callable, Sequence

from dualseg.checkpoints.importers.translation import Translator

BLOCKS = (1, 2, 3, 4, 3, 3, 1)  # in each of timm's stages; the first has no expansion
PLAIN = ("conv_dw", "bn1", "conv_pw", "bn2")
EXPANDED = ("conv_pw", "bn1", "conv_dw", "bn2", "conv_pwl", "bn3")


def move_mobilenet_v2(
    moves: Translator,
    feature: Callable[[int], str],
    *,
    plain: Sequence[str],
    expanded: Sequence[str],
) -> None:
    """Moves stem and blocks below `backbone.body`.

    Args:
        moves: Of the whole network.
        feature: Index 0 (the stem) to 17 -> its name, such as "backbone.features.0".
        plain: Names below the `conv` of the first block, in the order of `PLAIN`.
        expanded: Of the other blocks, in the order of `EXPANDED`.
    """
    moves.move(f"{feature(0)}.0", "backbone.body.conv_stem")
    moves.move(f"{feature(0)}.1", "backbone.body.bn1")
    index = 1
    for stage, count in enumerate(BLOCKS):
        theirs, ours = (plain, PLAIN) if stage == 0 else (expanded, EXPANDED)
        for block in range(count):
            for name, our_name in zip(theirs, ours, strict=True):
                to = f"backbone.body.blocks.{stage}.{block}.{our_name}"
                moves.move(f"{feature(index)}.conv.{name}", to)
            index += 1
