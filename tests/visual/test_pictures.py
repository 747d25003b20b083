"""Pictures inside a page."""

import base64
import io
import re

import numpy as np
from PIL import Image

from dualseg.visual.pictures import encode_png, fit, flat_picture, photo


def decoded(html: str) -> np.ndarray:
    found = re.search(r'src="data:image/webp;base64,([^"]*)"', html)
    assert found
    return np.asarray(Image.open(io.BytesIO(base64.b64decode(found[1]))).convert("RGB"))


def test_flat_pictures_are_lossless() -> None:
    picture = np.random.default_rng(0).integers(0, 256, (9, 7, 3), dtype=np.uint8)
    assert np.array_equal(decoded(flat_picture(picture, "truth")), picture)
    assert np.array_equal(np.asarray(Image.open(io.BytesIO(encode_png(picture)))), picture)


def test_large_pictures_are_thinned_out_not_mixed() -> None:
    picture = np.zeros((10, 3000, 3), dtype=np.uint8)
    picture[:, 1::2] = 255
    assert decoded(photo(picture, "input")).shape == (4, 1000, 3)
    assert set(np.unique(fit(picture))) <= {0, 255}


def test_only_small_pictures_show_their_pixels_as_squares() -> None:
    assert 'class="squares"' in photo(np.zeros((180, 240, 3), np.uint8), "input")
    assert 'class="smooth"' in photo(np.zeros((360, 480, 3), np.uint8), "input")


def test_the_name_is_escaped() -> None:
    assert 'alt="&lt;b&gt;&quot;"' in photo(np.zeros((2, 2, 3), np.uint8), '<b>"')
