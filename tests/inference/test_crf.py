"""The lattice's mean field beside the sum over all pairs of pixels."""

import subprocess
import sys

import numpy as np
import pytest
from numpy.typing import NDArray

from dualseg.core.errors import InputError
from dualseg.data.scenes.scene import draw_scene
from dualseg.inference.crf.lattice import BilateralFilter
from dualseg.inference.crf.mean_field import MIN_PROBABILITY, dense_crf, position_filter
from dualseg.inference.crf.settings import CrfSettings

HEIGHT, WIDTH, CLASSES = 40, 56, 5


def brute_force(
    probabilities: NDArray, image: NDArray, settings: CrfSettings
) -> NDArray[np.float64]:
    """Krähenbühl and Koltun's algorithm 1 as it reads: (N, N) matrices, double precision."""
    num_classes, height, width = probabilities.shape
    places = np.stack(np.mgrid[:height, :width], -1).reshape(-1, 2).astype(float)
    colors = image.reshape(-1, 3).astype(float)
    position = gaussian(places, settings.pos_xy_std)
    bilateral = gaussian(places, settings.bi_xy_std) * gaussian(colors, settings.bi_rgb_std)
    unary = np.log(np.maximum(probabilities.reshape(num_classes, -1).T, MIN_PROBABILITY))
    belief = softmax(unary.astype(float))
    for _ in range(settings.iterations):
        energy = unary.astype(float)
        energy += settings.pos_w * symmetric(position) @ belief
        energy += settings.bi_w * symmetric(bilateral) @ belief
        belief = softmax(energy)
    return belief.T.reshape(probabilities.shape)


def gaussian(points: NDArray, std: float) -> NDArray:
    squares = ((points[:, None] - points[None]) ** 2).sum(-1)
    return np.exp(-squares / (2 * std**2))


def symmetric(kernel: NDArray) -> NDArray:
    degree = kernel.sum(axis=1)
    return kernel / np.sqrt(np.outer(degree, degree))


def softmax(energy: NDArray) -> NDArray:
    raised = np.exp(energy - energy.max(axis=1, keepdims=True))
    return raised / raised.sum(axis=1, keepdims=True)


def street() -> NDArray[np.uint8]:
    picture, _ = draw_scene((120, 160), np.random.default_rng(3))
    return np.ascontiguousarray(picture[40 : 40 + HEIGHT, 40 : 40 + WIDTH])


def blobs(seed: int = 0) -> NDArray[np.float32]:
    """Coarse blobs with noise on them, as of a network that is not sure."""
    random = np.random.default_rng(seed)
    coarse = random.normal(size=(CLASSES, HEIGHT // 8, WIDTH // 8)).repeat(8, 1).repeat(8, 2)
    raised = np.exp(1.5 * coarse + 0.5 * random.normal(size=(CLASSES, HEIGHT, WIDTH)))
    return (raised / raised.sum(0)).astype(np.float32)


@pytest.mark.parametrize(
    "settings",
    [
        CrfSettings(),
        CrfSettings(iterations=5, bi_w=6, bi_xy_std=30, bi_rgb_std=6),
        CrfSettings(iterations=5, bi_w=3, bi_xy_std=100, bi_rgb_std=13, pos_w=1, pos_xy_std=3),
    ],
)
def test_it_is_near_the_sum_over_all_pairs(settings: CrfSettings) -> None:
    ours = dense_crf(blobs(), street(), settings, threads=1)
    exact = brute_force(blobs(), street(), settings)
    changed = (exact.argmax(0) != blobs().argmax(0)).mean()
    differs = (ours.argmax(0) != exact.argmax(0)).mean()
    assert changed > 0.15  # there was something to get wrong
    assert differs < 0.03
    assert abs(ours - exact).mean() < 0.015


def test_position_kernel_alone_is_exact() -> None:
    settings = CrfSettings(bi_w=0, pos_xy_std=2)
    exact = brute_force(blobs(), street(), settings)
    assert np.allclose(dense_crf(blobs(), street(), settings), exact, atol=2e-5)


def test_bilateral_filter_is_near_the_weighted_mean_over_all_pixels() -> None:
    image = street()
    values = np.random.default_rng(1).random((HEIGHT * WIDTH, 3)).astype(np.float32)
    lattice = BilateralFilter(image, xy_std=20, rgb_std=12, threads=1)
    ours = lattice(values) / lattice(np.ones((HEIGHT * WIDTH, 1), np.float32))
    places = np.stack(np.mgrid[:HEIGHT, :WIDTH], -1).reshape(-1, 2).astype(float)
    kernel = gaussian(places, 20) * gaussian(image.reshape(-1, 3).astype(float), 12)
    exact = kernel @ values / kernel.sum(axis=1, keepdims=True)
    plain = np.corrcoef(values[:, 0], exact[:, 0])[0, 1]
    assert plain < 0.75  # the filter does something
    assert np.corrcoef(ours.ravel(), exact.ravel())[0, 1] > 0.97
    assert abs(ours - exact).mean() < 0.02


def test_a_coarse_border_moves_to_the_edge_of_the_image() -> None:
    # The edge is after column 20; the network puts the border after column 26.
    image = np.full((32, 48, 3), 60, np.uint8)
    image[:, 20:] = 180
    probabilities = np.empty((2, 32, 48), np.float32)
    probabilities[0, :, :26], probabilities[0, :, 26:] = 0.6, 0.2
    probabilities[1] = 1 - probabilities[0]
    sharp = dense_crf(probabilities, image, CrfSettings()).argmax(0)
    assert (sharp[:, :20] == 0).all()
    assert (sharp[:, 20:] == 1).all()


def test_without_an_edge_the_border_stays_away_from_there() -> None:
    image = np.full((32, 48, 3), 60, np.uint8)
    probabilities = np.empty((2, 32, 48), np.float32)
    probabilities[0, :, :26], probabilities[0, :, 26:] = 0.6, 0.2
    probabilities[1] = 1 - probabilities[0]
    sharp = dense_crf(probabilities, image, CrfSettings(bi_xy_std=3)).argmax(0)
    assert (sharp[:, 20:25] == 0).all()


def test_threads_channel_groups_and_order_do_not_change_a_bit(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    from dualseg.inference.crf import lattice

    once = dense_crf(blobs(), street(), CrfSettings(), threads=1)
    monkeypatch.setattr(lattice, "LATTICE_BYTES", 1)  # one channel at a time
    monkeypatch.setattr(lattice, "FIRST_TABLE", 16)  # grows many times
    assert np.array_equal(dense_crf(blobs(), street(), CrfSettings(), threads=3), once)


def test_probabilities_stay_probabilities_also_where_a_class_has_none() -> None:
    probabilities = blobs()
    probabilities[0] = 0
    sharp = dense_crf(probabilities / probabilities.sum(0), street(), CrfSettings())
    assert np.isfinite(sharp).all()
    assert np.allclose(sharp.sum(0), 1, atol=1e-5)


def test_one_pixel() -> None:
    probabilities = np.array([[[0.3]], [[0.7]]], np.float32)
    sharp = dense_crf(probabilities, np.zeros((1, 1, 3), np.uint8), CrfSettings(iterations=1))
    # Both kernels hold the pixel itself with weight one: log p + (4 + 3) p.
    exact = softmax(np.log([[0.3, 0.7]]) + 7 * np.array([[0.3, 0.7]]))[0]
    assert sharp.ravel() == pytest.approx(exact, abs=1e-5)


@pytest.mark.parametrize(
    ("probabilities", "image", "message"),
    [
        (np.zeros((2, 4, 4)), np.zeros((4, 4, 3), np.uint8), "float32 of shape"),
        (np.zeros((2, 4, 4), np.float32), np.zeros((4, 4, 3)), "uint8 RGB"),
        (np.zeros((2, 4, 4), np.float32), np.zeros((4, 5, 3), np.uint8), "4x5 .* 4x4"),
    ],
)
def test_what_does_not_fit_is_refused(probabilities: NDArray, image: NDArray, message: str) -> None:
    with pytest.raises(InputError, match=message):
        dense_crf(probabilities, image, CrfSettings())


def test_widths_beyond_the_lattice_are_refused() -> None:
    with pytest.raises(InputError, match=r"bi_xy_std 1e-06 .* too small"):
        dense_crf(blobs(), street(), CrfSettings(bi_xy_std=1e-6, bi_rgb_std=0.01))


def test_settings_say_what_is_wrong() -> None:
    with pytest.raises(InputError) as caught:
        CrfSettings(iterations=0, bi_w=-1, bi_rgb_std=0, pos_xy_std=float("nan"))
    assert [fault.split(" is ")[0] for fault in caught.value.problems] == [
        "iterations",
        "bi_w",
        "bi_rgb_std",
        "pos_xy_std",
    ]


def test_settings_from_the_command_line() -> None:
    assert CrfSettings().changed(["bi_w=5", "iterations=3"]) == CrfSettings(3, 5.0)
    with pytest.raises(InputError, match="did you mean bi_w"):
        CrfSettings().changed(["bi_ww=5"])
    with pytest.raises(InputError, match="'many' is not a whole number"):
        CrfSettings().changed(["iterations=many"])


def test_kernels_are_compiled_only_when_they_are_used() -> None:
    code = "import sys, dualseg.inference.crf.mean_field; print('numba' in sys.modules)"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "False"


def test_without_numba_the_command_to_install_it_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    from dualseg.inference import crf

    monkeypatch.setitem(sys.modules, "dualseg.inference.crf.lattice_kernels", None)
    monkeypatch.delattr(crf, "lattice_kernels", raising=False)
    with pytest.raises(InputError, match="pip install numba"):
        dense_crf(blobs(), street(), CrfSettings())


def test_position_filter_at_the_border_misses_what_is_outside() -> None:
    ones = position_filter((1, 3), 1.0)(np.ones((3, 1), np.float32)).ravel()
    near, far = np.exp(-0.5), np.exp(-2.0)
    assert ones == pytest.approx([1 + near + far, 1 + 2 * near, 1 + near + far], abs=1e-5)
