"""What stands in for the objects a pickle names: descriptions of tensors, and inert remains.

The lists are literal. A name outside them refuses the whole file, so a payload is named, not run.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, NamedTuple

from dualseg.checkpoints.foreign.limits import MAX_DIMENSIONS, RefusalError, printable
from dualseg.checkpoints.foreign.pickle_values import Named, Skipped, as_key


class StorageRecord(NamedTuple):
    """A run of numbers somewhere in the file.

    Attributes:
        key: Its name in the file.
        dtype: Name of a torch dtype, such as `float32`; `uint8` where it has none of its own.
        length: Its numbers.
    """

    key: str
    dtype: str
    length: int


class TensorRecord(NamedTuple):
    """A tensor that is still in the file."""

    storage: StorageRecord
    dtype: str
    offset: int
    shape: tuple[int, ...]
    strides: tuple[int, ...]

    def with_state(self, state: Any) -> None:
        """Attributes hung on a tensor are of no use."""


@dataclass(slots=True)
class Inert:
    """What is left of an object: the name of its class and the data it was to be made from."""

    name: str
    arguments: tuple[Any, ...] = ()
    state: Any = None
    items: list[Any] | None = None
    mapping: dict[Any, Any] | None = None

    def with_state(self, state: Any) -> None:
        self.state = state

    def extended(self) -> list[Any]:
        self.items = self.items or []
        return self.items

    def mapped(self) -> dict[Any, Any]:
        self.mapping = self.mapping or {}
        return self.mapping


STORAGES = {
    "DoubleStorage": "float64",
    "FloatStorage": "float32",
    "HalfStorage": "float16",
    "BFloat16Storage": "bfloat16",
    "LongStorage": "int64",
    "IntStorage": "int32",
    "ShortStorage": "int16",
    "CharStorage": "int8",
    "ByteStorage": "uint8",
    "BoolStorage": "bool",
    "UntypedStorage": "uint8",
    "_UntypedStorage": "uint8",
}
DTYPES = tuple(dict.fromkeys(STORAGES.values()))

# Modules of which nothing runs here, and whose objects stand beside weights in published files.
INERT_MODULES = (
    "addict.",
    "easydict.",
    "mmcv.",
    "mmengine.",
    "mmseg.",
    "omegaconf.",
    "numpy.random.",
    "pathlib.",
    "pytorch_lightning.",
    "lightning.",
    "lightning_fabric.",
    "torch.optim.",
    "yacs.",
)
INERT_NAMES = frozenset(
    {
        "argparse.Namespace",
        "collections.Counter",
        "collections.defaultdict",
        "collections.deque",
        "datetime.date",
        "datetime.datetime",
        "datetime.timedelta",
        "builtins.complex",
        "builtins.dict",
        "builtins.float",
        "builtins.frozenset",
        "builtins.int",
        "builtins.list",
        "builtins.object",
        "builtins.set",
        "builtins.slice",
        "builtins.str",
        "builtins.tuple",
        "copyreg._reconstructor",
        "numpy._core.multiarray._reconstruct",
        "numpy._core.multiarray.scalar",
        "numpy._core.numeric._frombuffer",
        "numpy.dtype",
        "numpy.ndarray",
        "torch.Tensor",
        "torch.device",
        "torch.nn.parameter.Buffer",
        "torch.nn.parameter.Parameter",
        "torch.serialization._get_layout",
        "torch.strided",
        "torch.torch_version.TorchVersion",
        "torch.float",
        "torch.double",
        "torch.half",
        "torch.long",
        *(f"torch.{name}" for name in DTYPES),
    }
)
OTHER_NAMES = {
    "__builtin__": "builtins",
    "copy_reg": "copyreg",
    "numpy.core.multiarray": "numpy._core.multiarray",
    "numpy.core.numeric": "numpy._core.numeric",
    "pathlib._local": "pathlib",
    "torch.storage": "torch",
    "torch.cuda": "torch",
}
UNSUPPORTED = {
    "torch._utils._rebuild_sparse_tensor": "a sparse tensor",
    "torch._utils._rebuild_qtensor": "a quantised tensor",
    "torch._utils._rebuild_meta_tensor_no_storage": "a tensor without numbers (device meta)",
    "torch._utils._rebuild_wrapper_subclass": "a tensor of a class of its own",
    "torch._utils._rebuild_nested_tensor": "a nested tensor",
}
NETWORK_ADVICE = (
    "a state dict is needed; where you trust the file, open it with the program that made it and "
    "save `model.state_dict()` alone"
)


def resolve(module: str, name: str) -> Named:
    """What stands in for a global of a pickle.

    Raises:
        RefusalError: It is on no list; its name is told, and nothing of it was looked up.
    """
    module = OTHER_NAMES.get(module, module)
    full = f"{module}.{name}"
    if full in _BUILDERS:
        return Named(full, _BUILDERS[full])
    if module == "torch" and name in STORAGES:
        return Named(full, lambda *arguments: Inert(full, arguments))
    if full in UNSUPPORTED:
        raise RefusalError(f"it holds {UNSUPPORTED[full]}, which no published network here needs")
    if full in INERT_NAMES or full.startswith(INERT_MODULES):
        return Named(full, lambda *arguments: Inert(full, arguments))
    raise RefusalError(f"its pickle names {printable(full)}, which was not run; {NETWORK_ADVICE}")


def dtype_of(named: Any) -> str:
    """The dtype a global such as `torch.FloatStorage` or `torch.float16` stands for.

    Raises:
        RefusalError: It stands for none that weights have.
    """
    last = named.name.rpartition(".")[2] if isinstance(named, Named) else ""
    dtype = STORAGES.get(last, last)
    if dtype not in DTYPES:
        raise RefusalError(
            f"it holds numbers of type {printable(last)}; allowed: {', '.join(DTYPES)}"
        )
    return dtype


def as_size(values: Any, *, what: str) -> tuple[int, ...]:
    """Whole numbers of at most eight dimensions, none negative."""
    numbers = values if isinstance(values, tuple) else tuple(values)
    if len(numbers) > MAX_DIMENSIONS or any(type(n) is not int or n < 0 for n in numbers):
        raise RefusalError(f"a tensor has {what} {numbers[: MAX_DIMENSIONS + 1]}")
    return numbers


def _rebuild_tensor(storage: Any, offset: int, size: Any, stride: Any, *_: Any) -> TensorRecord:
    if not isinstance(storage, StorageRecord):
        raise RefusalError("a tensor has no storage")
    (start,) = as_size([offset], what="offset")
    shape, strides = as_size(size, what="shape"), as_size(stride, what="strides")
    if len(shape) != len(strides):
        raise RefusalError(f"a tensor of shape {shape} has strides {strides}")
    return TensorRecord(storage, storage.dtype, start, shape, strides)


def _rebuild_with_dtype(
    storage: Any, offset: int, size: Any, stride: Any, _grad: Any, _hooks: Any, dtype: Any, *_: Any
) -> TensorRecord:
    tensor = _rebuild_tensor(storage, offset, size, stride)
    return tensor._replace(dtype=dtype_of(dtype))


def _rebuild_parameter(data: Any, *_: Any) -> TensorRecord:
    if not isinstance(data, TensorRecord):
        raise RefusalError("a parameter holds no tensor")
    return data


def _rebuild_from_type(function: Any, _type: Any, arguments: Any, _state: Any) -> Any:
    if not isinstance(function, Named) or function.name not in _TENSOR_FUNCTIONS:
        raise RefusalError("a tensor is built by something that builds no tensors")
    return function.build(*arguments)


def _ordered(pairs: Any = (), *_: Any) -> dict[Any, Any]:
    return {as_key(key): value for key, value in pairs}


def _encode(text: Any, *_: Any) -> bytes | Skipped:
    """Bytes as protocol 2 writes them: a text of Latin-1 letters."""
    return text if isinstance(text, Skipped) else text.encode("latin-1")


_TENSOR_FUNCTIONS: dict[str, Callable[..., TensorRecord]] = {
    "torch._utils._rebuild_tensor": _rebuild_tensor,
    "torch._utils._rebuild_tensor_v2": _rebuild_tensor,
    "torch._utils._rebuild_tensor_v3": _rebuild_with_dtype,
    "torch._utils._rebuild_parameter": _rebuild_parameter,
    "torch._utils._rebuild_parameter_with_state": _rebuild_parameter,
}
_BUILDERS: dict[str, Callable[..., Any]] = {
    "collections.OrderedDict": _ordered,
    **_TENSOR_FUNCTIONS,
    "torch.Size": lambda values=(): tuple(values),
    "torch._tensor._rebuild_from_type_v2": _rebuild_from_type,
    "_codecs.encode": _encode,
}
