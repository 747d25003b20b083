"""Pictures as bytes, and as text inside a page."""

import base64
import io
from html import escape

import numpy as np
from numpy.typing import NDArray
from PIL import Image

MAX_SIDE = 1024
"""Longest side in pixels of a picture in a report; larger ones are thinned out."""

SMALL_SIDE = 320
"""A picture up to this size is shown larger than it is, with its pixels as squares."""


def encode_png(picture: NDArray[np.uint8]) -> bytes:
    """(H, W, 3) RGB -> PNG."""
    return _encode(picture, format="PNG", lossless=True)


def photo(picture: NDArray[np.uint8], name: str) -> str:
    """(H, W, 3) RGB -> HTML image, at most MAX_SIDE long, slightly lossy unless it is small."""
    picture = fit(picture)
    return _image(picture, name, lossless=max(picture.shape[:2]) <= SMALL_SIDE)


def flat_picture(picture: NDArray[np.uint8], name: str) -> str:
    """(H, W, 3) RGB of few colours -> HTML image, lossless, at most MAX_SIDE long."""
    return _image(fit(picture), name, lossless=True)


def embed_alpha(strength: NDArray[np.float64]) -> str:
    """(H, W) values 0..1 -> data URI of one colour, as opaque as the value, for any background."""
    picture = np.empty((*strength.shape, 4), dtype=np.uint8)
    picture[..., :3] = (20, 128, 168)
    picture[..., 3] = (255 * strength + 0.5).astype(np.uint8)
    return _data_uri(_encode(picture, format="WEBP", lossless=True))


def fit(picture: NDArray[np.uint8], max_side: int = MAX_SIDE) -> NDArray[np.uint8]:
    """Every n-th pixel, so that no side is longer than `max_side`; no colour is invented."""
    step = -(-max(picture.shape[:2]) // max_side)
    return picture[::step, ::step]


def _image(picture: NDArray[np.uint8], name: str, *, lossless: bool) -> str:
    source = _data_uri(_encode(picture, format="WEBP", lossless=lossless))
    kind = "squares" if max(picture.shape[:2]) <= SMALL_SIDE else "smooth"
    return f'<img class="{kind}" src="{source}" alt="{escape(name)}">'


def _encode(picture: NDArray[np.uint8], *, format: str, lossless: bool) -> bytes:
    file = io.BytesIO()
    Image.fromarray(picture).save(file, format=format, lossless=lossless, quality=86)
    return file.getvalue()


def _data_uri(webp: bytes) -> str:
    return "data:image/webp;base64," + base64.b64encode(webp).decode("ascii")
