"""From a module to a program of operations that every runtime knows."""

import math
import operator
import warnings
from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor, nn
from torch.export import Dim, ExportedProgram
from torch.fx import GraphModule, Node

from dualseg.core.geometry import Size
from dualseg.export.cubic import DenseCubic


def example(channels: int, size: Size, *, dtype: torch.dtype = torch.float32) -> Tensor:
    """Two images, since a batch of one would be taken for a constant."""
    return torch.zeros((2, channels, *size), dtype=dtype)


def trace(module: nn.Module, inputs: dict[str, Tensor], *, fixed: Size | None) -> ExportedProgram:
    """The program of a module in evaluation mode, for any batch size.

    Args:
        module: `forward` takes the inputs by these names.
        inputs: Examples (2, C, H, W).
        fixed: Height and width are those of the examples where given, and free otherwise.
    """
    free = {0: Dim.DYNAMIC} if fixed else {0: Dim.DYNAMIC, 2: Dim.DYNAMIC, 3: Dim.DYNAMIC}
    with warnings.catch_warnings(), torch.no_grad(), DenseCubic():
        warnings.simplefilter("ignore")
        program = torch.export.export(
            module.eval(),
            (),
            kwargs=inputs,
            dynamic_shapes=dict.fromkeys(inputs, free),
            strict=False,
        )
    _divide_positive_numbers(program)
    # What torch took down about memory layout at the traced size would refuse other sizes that the
    # program handles well; the gate shows that it does.
    program._guards_code = []
    return program


def _divide_positive_numbers(program: ExportedProgram) -> None:
    """Rounding up as -(-size // step), as -size % step or as ceil(size / step), in whole numbers.

    Python rounds down, runtimes round towards zero, and some know no ceil. Sizes and steps are
    positive.
    """
    for module in program.graph_module.modules():  # what runs under autocast has a graph of its own
        if not isinstance(module, GraphModule):
            continue
        for node in list(module.graph.nodes):
            if node.op != "call_function":
                continue
            with module.graph.inserting_before(node):
                other = _in_whole_numbers(node)
            if other is not None:
                node.replace_all_uses_with(other)
        module.graph.eliminate_dead_code()
        module.recompile()


def _in_whole_numbers(node: Node) -> Any:
    """What gives the same number; None where the node is none of these."""
    inner = node.args[0] if node.args else None
    if not isinstance(inner, Node):
        return None
    if node.target is math.ceil and inner.target is operator.truediv:
        return _rounded_up(*inner.args)
    if inner.target is not operator.neg:
        return None
    size = inner.args[0]
    if node.target is operator.neg:
        return size
    if node.target is operator.floordiv:
        return _call(operator.neg, _rounded_up(size, node.args[1]))
    if node.target is operator.mod:
        whole = _call(operator.mul, _rounded_up(size, node.args[1]), node.args[1])
        return _call(operator.sub, whole, size)
    return None


def _rounded_up(size: Any, step: Any) -> Node:
    enlarged = _call(operator.sub, _call(operator.add, size, step), 1)
    return _call(operator.floordiv, enlarged, step)


def _call(function: Callable[[Any, Any], Any] | Callable[[Any], Any], *arguments: Any) -> Node:
    nodes = [argument for argument in arguments if isinstance(argument, Node)]
    made = nodes[0].graph.call_function(function, arguments)
    made.meta["val"] = function(*(a.meta["val"] if isinstance(a, Node) else a for a in arguments))
    return made
