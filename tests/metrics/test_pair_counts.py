"""Three ways to count pairs of bytes give the same counts."""

import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

import dualseg
from dualseg.metrics import pair_counts, pair_kernel
from dualseg.metrics.confusion import confusion_matrix
from dualseg.metrics.pair_counts import count_pairs, count_with_cv2, count_with_kernel
from dualseg.metrics.pair_kernel import compiled_kernel


def one_by_one(first: np.ndarray, second: np.ndarray) -> np.ndarray:
    """numpy's count, which shares nothing with ours."""
    return np.bincount(256 * first.astype(np.intp) + second, minlength=65536).reshape(256, 256)


def runs(seed: int, size: int) -> np.ndarray:
    """Runs of equal bytes, of lengths from one to a few hundred, as label maps have them."""
    rng = np.random.default_rng(seed)
    lengths = rng.integers(1, 300, size // 50 + 1)
    return np.repeat(rng.integers(0, 256, len(lengths), dtype=np.uint8), lengths)[:size]


@pytest.mark.parametrize("size", [1, 7, 8, 9, 63, 64, 65, 511, 4099])
@pytest.mark.parametrize("kind", ["runs", "noise", "one value"])
def test_both_ways_equal_numpys_count(size: int, kind: str) -> None:
    if kind == "runs":
        first, second = runs(1, size), runs(2, size)
    elif kind == "noise":
        first, second = np.random.default_rng(3).integers(0, 256, (2, size), dtype=np.uint8)
    else:
        first, second = np.full(size, 254, np.uint8), np.full(size, 3, np.uint8)
    expected = one_by_one(first, second)
    assert np.array_equal(count_with_cv2(first, second), expected)
    kernel = compiled_kernel()
    if kernel is not None:
        assert np.array_equal(count_with_kernel(first, second, kernel), expected)


def test_large_maps_are_shared_between_threads(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(pair_counts, "FAST_FROM", 1000)
    monkeypatch.setattr(pair_counts, "_num_cpus", lambda: 3)
    first, second = runs(4, 40_003), runs(5, 40_003)
    assert np.array_equal(count_pairs(first, second), one_by_one(first, second))


def test_parts_of_maps_and_odd_addresses_are_counted_too(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(pair_counts, "FAST_FROM", 1000)
    whole = runs(6, 100 * 100).reshape(100, 100)
    first, second = whole[:, 3:80], whole[:, 5:82]
    expected = one_by_one(first.ravel(), second.ravel())
    assert np.array_equal(count_pairs(first, second), expected)
    odd = runs(7, 5001)[1:]
    assert np.array_equal(count_pairs(odd, odd), one_by_one(odd, odd))


def test_cv2s_counts_stay_exact_beyond_what_it_can_count(monkeypatch: pytest.MonkeyPatch) -> None:
    many = np.zeros((1 << 24) + 3, np.uint8)
    assert count_with_cv2(many, many)[0, 0] == (1 << 24) + 3
    monkeypatch.setattr(pair_counts, "EXACT_IN_FLOAT32", 100)
    first, second = runs(8, 4099), runs(9, 4099)
    assert np.array_equal(count_with_cv2(first, second), one_by_one(first, second))


def test_counts_are_the_same_where_numba_is_not_installed(monkeypatch: pytest.MonkeyPatch) -> None:
    first, second = runs(10, 1 << 20), runs(11, 1 << 20)
    with_numba = count_pairs(first, second)
    monkeypatch.setattr(pair_kernel, "can_compile", lambda: False)
    compiled_kernel.cache_clear()
    try:
        assert compiled_kernel() is None
        assert np.array_equal(count_pairs(first, second), with_numba)
    finally:
        compiled_kernel.cache_clear()


def test_small_maps_never_wait_for_a_compiler(monkeypatch: pytest.MonkeyPatch) -> None:
    def compiled() -> None:
        raise AssertionError("compiled for a small map")

    monkeypatch.setattr(pair_counts, "compiled_kernel", compiled)
    small = np.zeros((720, 960), np.uint8)
    assert confusion_matrix(small, small, 1).tolist() == [[720 * 960]]


def test_folders_that_cannot_be_written_do_no_harm(tmp_path: Path) -> None:
    pytest.importorskip("numba")
    closed = tmp_path / "a_file"
    closed.write_text("no folder can be made in here")
    code = (
        "import numpy as np\n"
        "from dualseg.metrics.pair_counts import count_pairs\n"
        "from dualseg.metrics.pair_kernel import compiled_kernel\n"
        "assert compiled_kernel() is not None\n"
        "print(count_pairs(*np.ones((2, 1 << 20), np.uint8))[1, 1])\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", code],
        env=os.environ
        | {"NUMBA_CACHE_DIR": str(closed), "PYTHONPATH": str(Path(dualseg.__file__).parents[1])},
        capture_output=True,
        text=True,
    )
    assert done.stdout == f"{1 << 20}\n", done.stderr
