"""From the bytes of a TIFF's tile or strip to values: what predictors took away is added again."""

import numpy as np
from numpy.typing import NDArray

PLAIN, HORIZONTAL, FLOATING_POINT = 1, 2, 3


def undo_prediction(
    content: bytes, shape: tuple[int, int, int], dtype: np.dtype, predictor: int
) -> NDArray[np.generic]:
    """Bytes -> (rows, columns, samples) values in this machine's byte order.

    Args:
        content: Unpacked, rows * columns * samples values.
        shape: (rows, columns, samples).
        dtype: Of a value, with the file's byte order.
        predictor: 1: none; 2: each value is stored as difference to its left neighbour of the same
            band; 3: likewise byte by byte, with the bytes of a row sorted by their weight.

    Raises:
        ValueError: Another predictor, or one that does not suit the type.

    Source: TIFF 6.0, section 14; Adobe Photoshop TIFF Technical Note 3 (predictor 3).
    """
    native = dtype.newbyteorder("=")
    if predictor == FLOATING_POINT:
        if dtype.kind != "f":
            raise ValueError("predictor 3 is for floating-point values")
        return _floating_point(content, shape, dtype.itemsize).astype(native, copy=False)
    if predictor not in (PLAIN, HORIZONTAL):
        raise ValueError(f"predictor {predictor} is unknown")
    values = np.frombuffer(content, dtype).reshape(shape).astype(native, copy=False)
    if predictor == PLAIN:
        return values
    whole = np.dtype(f"u{dtype.itemsize}")
    return np.cumsum(values.view(whole), axis=1, dtype=whole).view(native)


def _floating_point(content: bytes, shape: tuple[int, int, int], size: int) -> NDArray[np.generic]:
    rows, columns, samples = shape
    steps = np.frombuffer(content, np.uint8).reshape(rows, -1, samples)
    planes = np.cumsum(steps, axis=1, dtype=np.uint8).reshape(rows, size, columns * samples)
    whole = np.ascontiguousarray(planes.transpose(0, 2, 1))  # the highest byte first
    return whole.view(f">f{size}").reshape(shape)
