"""Post-training quantisation to int8 by NNCF."""

import contextlib
import io
import logging
from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from dualseg.export.packages import need


def quantized(model: Any, inputs: Sequence[NDArray[np.float32]], name: str) -> Any:
    """A graph whose convolutions and products compute in int8.

    Args:
        model: An `openvino.Model` or an ONNX `ModelProto`.
        inputs: What the graph is calibrated with, (1, C, h, w) each.
        name: Of the graph's input.

    Raises:
        InputError: NNCF is not installed.
    """
    nncf = need("nncf", "--precision int8")
    nncf.set_log_level(logging.ERROR)
    dataset = nncf.Dataset(inputs, lambda array: {name: array})
    with contextlib.redirect_stdout(io.StringIO()):  # its bars would stand in --json
        return nncf.quantize(
            model, dataset, preset=nncf.QuantizationPreset.MIXED, subset_size=len(inputs)
        )
