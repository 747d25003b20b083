"""What every importer is written with: move tensors to our names, edit them, account for each one.

An importer file has four things, all of them plain:

    NAME = "torchvision"
    ARCHITECTURES = {"fcn_resnet50": "FCN, ResNet-50 at output stride 8"}
    def recognise(tensors: Mapping[str, Tensor]) -> str | None: ...     # a key of ARCHITECTURES
    def translate(checkpoint: ForeignCheckpoint, arch: str) -> Translation: ...

Architectures whose tensors are the same and whose output strides differ end in `_os8`, `_os16`:
`recognise` names the published one, and the user is told of the others.

`translate` reads like a table: moves first, under the source's names; then edits, under ours:

    moves = Translator(checkpoint.tensors, origin=f"{NAME} {arch}")
    moves.move("backbone", "backbone.body")
    moves.move("classifier.0.project", "head.aspp.project.0")
    moves.drop("aux", "an auxiliary head that dualseg does not build")
    moves.reorder_inputs("head.aspp.project.0.0.weight", (256,) * 5, (1, 2, 3, 4, 0))
    weights, dropped = moves.finish()
    return Translation(architecture={"name": "deeplabv3", ...}, weights=weights, ...)
"""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import torch
from torch import Tensor

from dualseg.checkpoints.tensors import shorten
from dualseg.core.errors import InputError
from dualseg.core.facts import IMAGENET_MEAN, IMAGENET_STD
from dualseg.core.labels import LabelSpec

MAPPING_VERSION = 1
COUNTER = "num_batches_tracked"


@dataclass(frozen=True)
class Translation:
    """A foreign network under our names.

    Args:
        architecture: Arguments of `create_model`, `num_classes` among them; not `pretrained`.
        weights: All its tensors by our names; they must fit that network one to one.
        source: Library and model, such as "torchvision fcn_resnet50".
        licence: Of the weights as their publisher states it, or of the code where they say nothing.
        dropped: Tensor of the source -> why it has no place in our network.
        labels: Classes it predicts, as the file says; None where it does not.
        assumed_labels: Else those of the data set its library publishes weights for with so many
            classes; None where there is none, then `class_0`, ...
        mean: RGB mean, for values in 0..1.
        std: RGB standard deviation.
        training_size: (height, width) of the training crop, where known.
        parameters: How many the network must have, auxiliary heads included, where a count is
            published for exactly these classes; another count refuses the import.
    """

    architecture: Mapping[str, Any]
    weights: Mapping[str, Tensor]
    source: str
    licence: str
    dropped: Mapping[str, str] = field(default_factory=dict)
    labels: LabelSpec | None = None
    assumed_labels: LabelSpec | None = None
    mean: tuple[float, float, float] = IMAGENET_MEAN
    std: tuple[float, float, float] = IMAGENET_STD
    training_size: tuple[int, int] | None = None
    parameters: int | None = None


class Translator:
    """Moves a source's tensors to our names and knows which ones nobody has asked for yet.

    A prefix matches whole parts of a name: `layer1` matches `layer1` and `layer1.0`, not `layer10`.

    Args:
        tensors: The source's state dict; it is left as it is.
        origin: What it is, for messages.
    """

    def __init__(self, tensors: Mapping[str, Tensor], *, origin: str):
        self.origin = origin
        self.left = dict(tensors)
        self.weights: dict[str, Tensor] = {}
        self.dropped: dict[str, str] = {}

    def has(self, prefix: str) -> bool:
        """Whether tensors under `prefix` are still to be moved."""
        return any(_is_below(name, prefix) for name in self.left)

    def move(self, prefix: str, to: str) -> None:
        """Renames everything under `prefix`; an empty prefix moves all that is left below `to`.

        Raises:
            InputError: Nothing is there, or the new name is taken.
        """
        names = [name for name in self.left if _is_below(name, prefix)]
        if not names:
            raise InputError(f"{self.origin}: there is nothing named {prefix}; is this the file?")
        for name in names:
            rest = name[len(prefix) :].lstrip(".")
            self.put(".".join(part for part in (to, rest) if part), self.take(name))

    def move_matching(self, pattern: str, to: str) -> int:
        r"""Renames every name that `pattern` matches from end to end; `to` may hold \1, \2.

        Returns:
            How many there were; none is no fault.
        """
        names = [name for name in self.left if re.fullmatch(pattern, name)]
        for name in names:
            self.put(re.sub(pattern, to, name), self.take(name))
        return len(names)

    def take(self, name: str) -> Tensor:
        """One tensor out of the source, to be put back by `put`, changed or not.

        Raises:
            InputError: It is not there, was taken before, or holds anything but fractions where it
                is no counter of batches: what is edited below would become fractions unseen.
        """
        if name not in self.left:
            raise InputError(f"{self.origin}: there is no tensor {name}; is this the file?")
        tensor = self.left.pop(name)
        if not tensor.is_floating_point() and not name.endswith(COUNTER):
            raise InputError(
                f"{self.origin}: {name} is {str(tensor.dtype).removeprefix('torch.')}, but weights "
                "are floating-point numbers; a quantised network must be saved as it was before"
            )
        return tensor

    def put(self, name: str, tensor: Tensor) -> None:
        """Gives our network a tensor.

        Raises:
            InputError: The name is taken.
        """
        if name in self.weights:
            raise InputError(f"{self.origin}: two tensors would become {name}")
        self.weights[name] = tensor

    def drop(self, prefix: str, reason: str) -> None:
        """Leaves out everything under `prefix`, which may be nothing, and remembers why."""
        for name in [name for name in self.left if _is_below(name, prefix)]:
            del self.left[name]
            self.dropped[name] = reason

    def drop_copies(self, prefix: str, *, of: str) -> None:
        """Leaves out tensors under `prefix` that stand under `of` too, value by value.

        Call it before `of` is moved.

        Raises:
            InputError: A tensor under `prefix` differs from its twin or has none.
        """
        for name in [name for name in self.left if _is_below(name, prefix)]:
            twin = of + name[len(prefix) :]
            if twin not in self.left or not torch.equal(self.left[twin], self.left[name]):
                raise InputError(f"{self.origin}: {name} is no copy of {twin}")
            del self.left[name]
            self.dropped[name] = f"a copy of {twin}"

    # Edits: `name`, `conv` and `norm` are our names, of what has been moved already.

    def reorder_inputs(self, name: str, sizes: Sequence[int], order: Sequence[int]) -> None:
        """Rearranges blocks of a convolution's input channels, for maps joined in another order.

        Args:
            name: The convolution's weight (O, I, kH, kW); I may be 1 (depthwise): then the blocks
                are of its output channels, as they are of a batch norm's vectors.
            sizes: Channels of each block in the source's order.
            order: Our block i is the source's block `order[i]`.
        """
        weight = self.weights[name]
        axis = 1 if weight.dim() > 1 and weight.shape[1] > 1 else 0
        if sum(sizes) != weight.shape[axis] or sorted(order) != list(range(len(sizes))):
            raise InputError(
                f"{self.origin}: {name} has {weight.shape[axis]} channels, not blocks of {sizes}"
            )
        blocks = weight.split(list(sizes), dim=axis)
        self.weights[name] = torch.cat([blocks[i] for i in order], dim=axis)

    def reorder_all(self, prefix: str, sizes: Sequence[int], order: Sequence[int]) -> None:
        """`reorder_inputs` of every weight and statistic under `prefix` with channels (no counter).

        For a depthwise convolution and its batch norm behind joined maps.
        """
        for name, tensor in self.weights.items():
            if _is_below(name, prefix) and tensor.dim() > 0:
                self.reorder_inputs(name, sizes, order)

    def fold_bias(self, conv: str, norm: str) -> None:
        """Subtracts a convolution's bias from the running mean of the batch norm behind it.

        In evaluation the two networks are the same function, as in training, where batch
        statistics cancel any bias.
        """
        bias = self.weights.pop(f"{conv}.bias")
        self.weights[f"{norm}.running_mean"] = self.weights[f"{norm}.running_mean"] - bias

    def flip_input_channels(self, conv: str) -> None:
        """Lets a first convolution that was trained on BGR images read RGB ones."""
        self.weights[f"{conv}.weight"] = self.weights[f"{conv}.weight"].flip(1)

    def make_scales_positive(self, *prefixes: str, eps: float) -> None:
        """Replaces batch norm scales w by |w| + eps, which is what in-place activated ones apply.

        Source: Rota Bulò et al. 2018, arXiv:1712.02616, in its first published code.
        """
        for name in self.weights:
            norm, _, last = name.rpartition(".")
            is_norm = last == "weight" and f"{norm}.running_mean" in self.weights
            if is_norm and any(_is_below(norm, prefix) for prefix in prefixes):
                self.weights[name] = self.weights[name].abs() + eps

    def reshape(self, name: str, shape: Sequence[int]) -> None:
        """Another shape for the same numbers, such as () for (1,)."""
        self.weights[name] = self.weights[name].reshape(tuple(shape))

    def finish(self) -> tuple[dict[str, Tensor], dict[str, str]]:
        """The weights as float32, with the counters that old files lack; and what was dropped.

        Raises:
            InputError: Tensors of the source that no rule has moved or dropped; all are listed.
        """
        if self.left:
            raise InputError(
                f"{self.origin}: {len(self.left)} tensors have no place in the network; is this "
                "the right --arch?",
                shorten(f"{name} {tuple(tensor.shape)}" for name, tensor in self.left.items()),
            )
        weights = {
            name: tensor.float() if tensor.is_floating_point() else tensor
            for name, tensor in self.weights.items()
        }
        for name in list(weights):
            norm, _, last = name.rpartition(".")
            if last == "running_mean":  # 1: statistics are there, so some batch was seen
                weights.setdefault(f"{norm}.{COUNTER}", torch.tensor(1))
        return weights, self.dropped


def _is_below(name: str, prefix: str) -> bool:
    return not prefix or name == prefix or name.startswith(prefix + ".")
