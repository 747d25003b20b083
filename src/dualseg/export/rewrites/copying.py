"""New modules around the same tensors, so that a rewrite never touches the network it was given."""

import copy
from collections.abc import Iterable
from itertools import chain

from torch import Tensor, nn


def shared_copy(model: nn.Module) -> nn.Module:
    """The network's modules copied, its parameters and buffers shared; in evaluation mode.

    Replacing a module of the copy leaves the original as it was; changing a weight in place changes
    both.
    """
    tensors: Iterable[Tensor] = chain(model.parameters(), model.buffers())
    return copy.deepcopy(model, {id(tensor): tensor for tensor in tensors}).eval()


def replace_module(model: nn.Module, name: str, replacement: nn.Module) -> nn.Module:
    """`model` with the module called `name` replaced; an empty name is the network itself."""
    if not name:
        return replacement
    model.set_submodule(name, replacement)
    return model
