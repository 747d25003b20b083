import pytest

from dualseg.losses.ramp import ramp


@pytest.mark.parametrize(
    ("kind", "expected"),
    [
        ("linear", [0.25, 0.5, 0.75, 1.0, 1.0]),
        ("cosine", [0.146447, 0.5, 0.853553, 1.0, 1.0]),
        ("step", [0.0, 0.0, 0.0, 0.0, 1.0]),
        ("constant", [1.0] * 5),
    ],
)
def test_the_first_five_of_four_steps(kind, expected):
    factors = [ramp(step, steps=4, kind=kind) for step in range(5)]
    assert factors == pytest.approx(expected, abs=1e-6)


@pytest.mark.parametrize("kind", ["linear", "cosine", "step", "constant"])
def test_without_a_length_the_weight_is_whole_at_once(kind):
    assert ramp(0, steps=0, kind=kind) == 1.0
