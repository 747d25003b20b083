"""Parts of a network by name, as a recipe calls them: `backbone.layer1`, `head`, `sisr_decoder`."""

from collections.abc import Iterable

from torch import nn

from dualseg.core.errors import InputError, nearest

SILENT = ("host", "body")  # DSRL's wrapper and timm's: nobody should have to know them


def plain_name(name: str) -> str:
    """A name without the wrappers: `host.backbone.body.x` -> `backbone.x`."""
    return ".".join(part for part in name.split(".") if part not in SILENT)


def longest_prefix(name: str, prefixes: Iterable[str]) -> str | None:
    """The longest of `prefixes` that names the part a parameter lies in; None where none does."""
    plain = plain_name(name)
    fitting = [
        p for p in prefixes if plain == plain_name(p) or plain.startswith(f"{plain_name(p)}.")
    ]
    return max(fitting, key=lambda prefix: len(plain_name(prefix)), default=None)


def require_parts(model: nn.Module, prefixes: Iterable[str], *, key: str) -> None:
    """Refuses names of parts that the network does not have.

    Args:
        model: The network.
        prefixes: Names from a recipe.
        key: The recipe key they stand under, for the message.

    Raises:
        InputError: Lists the unknown ones with the nearest names there are.
    """
    known = {plain_name(name) for name, _ in model.named_modules()} - {""}
    known |= {plain_name(name) for name, _ in model.named_parameters()}
    unknown = [prefix for prefix in prefixes if plain_name(prefix) not in known]
    if unknown:
        top = [name for name in known if name.count(".") < 2]
        raise InputError(
            f"{key} names parts the network does not have:",
            [
                f"{prefix}: {nearest(plain_name(prefix), _as_deep(prefix, known) or top)}"
                for prefix in unknown
            ],
        )


def _as_deep(prefix: str, known: Iterable[str]) -> list[str]:
    depth = plain_name(prefix).count(".")
    return [name for name in known if name.count(".") == depth]
