"""Figures worked out by hand."""

import pytest

from dualseg.evaluation.benchmark import Run, RuntimeFigures, peak_memory_mib, percentile


@pytest.mark.parametrize(
    ("values", "share", "wanted"),
    [([5, 1, 3], 0.5, 3), ([5, 1, 3], 0.95, 5), (range(1, 101), 0.95, 95), ([7], 0.95, 7)],
)
def test_percentile_is_a_value_that_was_measured(values, share, wanted):
    assert percentile(list(values), share) == wanted


def test_rates_and_shares():
    runs = (Run(1, 10, 4), Run(2, 20, 3), Run(1, 30, 9))
    found = RuntimeFigures(runs, 2, 64.0, "bf16").to_dict(
        gflops=5.0, roofs={"fp32": 100.0, "bf16": 1000.0}
    )
    assert found["latency_ms_median"] == 25  # of 15, 25 and 40
    assert found["latency_ms_p95"] == 40
    assert found["images_per_second"] == 80  # two in 25 ms
    assert found["network_ms_median"] == 20
    assert found["network_gflops_per_second"] == 500  # 10 GFLOP in 20 ms
    assert found["share_of_roof"] == 0.5
    assert found["peak_memory_mib"] == 64


def test_int8_has_no_roof_to_be_a_share_of():
    found = RuntimeFigures((Run(1, 10, 4),), 1, 64.0, "int8").to_dict(
        gflops=5.0, roofs={"fp32": 100.0, "bf16": 1000.0}
    )
    assert (found["precision"], found["share_of_roof"]) == ("int8", None)


def test_peak_memory_sees_what_is_touched():
    before = peak_memory_mib()
    block = bytearray(256 << 20)
    block[::4096] = b"x" * len(block[::4096])
    assert peak_memory_mib() > before + 128 or before > 1024
