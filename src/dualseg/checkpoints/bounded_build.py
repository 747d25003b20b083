"""Building a network that a file describes, with no more memory than its weights call for."""

import threading
from collections.abc import Iterator
from contextlib import contextmanager

from torch import nn
from torch.nn.modules.module import register_module_parameter_registration_hook

SLACK = 2**27  # parameters, half a GiB: what a backbone has while its classifier is still there


class TooManyParametersError(RuntimeError):
    """A network took more parameters than it was allowed."""


@contextmanager
def at_most_parameters(limit: int) -> Iterator[None]:
    """Stops the building of networks in this thread before too large a tensor is filled.

    Args:
        limit: Of all parameters that are given to modules, those replaced later among them.

    Raises:
        TooManyParametersError: There would be more; the largest has taken no memory yet.
    """
    thread, count = threading.get_ident(), 0

    def add(module: nn.Module, name: str, parameter: nn.Parameter | None) -> None:
        nonlocal count
        if parameter is None or threading.get_ident() != thread:
            return
        count += parameter.numel()
        if count > limit:
            raise TooManyParametersError(f"{type(module).__name__}.{name}: more than {limit:,}")

    hook = register_module_parameter_registration_hook(add)  # type: ignore[arg-type]
    try:
        yield
    finally:
        hook.remove()
