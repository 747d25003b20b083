"""Post-training quantisation to int8 by NNCF."""

import contextlib
import io
import logging
from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from dualseg.export.packages import need

NOISY = ("nncf", "torch.utils.cpp_extension")  # the latter on machines without a GPU's compiler


def quantized(
    model: Any, inputs: Sequence[NDArray[np.float32]], name: str, *, per_channel: bool
) -> Any:
    """A graph whose convolutions and products compute in int8.

    Args:
        model: An `openvino.Model` or an ONNX `ModelProto`.
        inputs: What the graph is calibrated with, (1, C, h, w) each.
        name: Of the graph's input.
        per_channel: Depthwise convolutions may scale each channel of their input by itself, which
            loses less but which ONNX Runtime does not run. Weights have a scale a channel always.

    Raises:
        InputError: NNCF is not installed.
    """
    with _quiet():
        nncf = need("nncf", "--precision int8")
        from nncf.quantization.advanced_parameters import QuantizationParameters  # pyright: ignore[reportMissingImports]

        activations = QuantizationParameters(per_channel=None if per_channel else False)
        return nncf.quantize(
            model,
            nncf.Dataset(inputs, lambda array: {name: array}),
            preset=nncf.QuantizationPreset.MIXED,
            subset_size=len(inputs),
            advanced_parameters=nncf.AdvancedQuantizationParameters(
                activations_quantization_params=activations
            ),
        )


@contextlib.contextmanager
def _quiet() -> Iterator[None]:
    """NNCF's bars would stand in `--json`, its notes say nothing to a user."""
    loggers = [logging.getLogger(name) for name in NOISY]
    levels = [logger.level for logger in loggers]
    for logger in loggers:
        logger.setLevel(logging.ERROR)
    try:
        with contextlib.redirect_stdout(io.StringIO()):
            yield
    finally:
        for logger, level in zip(loggers, levels, strict=True):
            logger.setLevel(level)
