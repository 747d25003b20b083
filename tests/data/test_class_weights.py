import math

import pytest

from dualseg.core.errors import InputError
from dualseg.data.labels.class_weights import CLASS_WEIGHT_RULES, class_weights


def test_median_frequency_by_hand() -> None:
    # Frequencies 0.5, 0.3, 0.2: median 0.3.
    assert class_weights([50, 30, 20], "median_frequency") == pytest.approx((0.6, 1.0, 1.5))


def test_inverse_log_by_hand() -> None:
    # 1 / ln(1.52) and 1 / ln(1.52).
    assert class_weights([7, 7], "inverse_log") == pytest.approx((2.3883, 2.3883), abs=1e-4)
    assert class_weights([75, 25], "inverse_log")[1] == pytest.approx(1 / math.log(1.27))


@pytest.mark.parametrize("rule", ["median_frequency", "inverse_log"])
def test_a_class_without_a_pixel_has_no_weight_and_changes_no_other(rule: str) -> None:
    weights = class_weights([50, 0, 30, 20], rule)
    assert weights[1] == 0
    assert (weights[0], *weights[2:]) == class_weights([50, 30, 20], rule)


def test_normalized_weights_of_present_classes_have_mean_one() -> None:
    # 0.6, 1.0, 1.5 have mean 31/30.
    weights = class_weights([50, 0, 30, 20], "median_frequency", normalize=True)
    assert weights == pytest.approx((18 / 31, 0, 30 / 31, 45 / 31))


def test_cityscapes_list_is_for_its_19_classes() -> None:
    weights = class_weights([1] * 19, "cityscapes")
    assert (weights[0], weights[13], weights[18]) == (0.8373, 0.9037, 1.0507)
    with pytest.raises(InputError, match="19 weights, the data set has 3 classes; use median"):
        class_weights([1, 2, 3], "cityscapes")


def test_an_unknown_rule_and_empty_labels_are_refused() -> None:
    with pytest.raises(InputError, match=r"no rule 'median_freq'; did you mean median_frequency\?"):
        class_weights([1, 2], "median_freq")
    with pytest.raises(InputError, match="no class has a labelled pixel"):
        class_weights([0, 0], "inverse_log")


def test_rules_are_those_of_the_recipe() -> None:
    from dualseg.config import loss

    assert set(CLASS_WEIGHT_RULES) == set(loss.CLASS_WEIGHT_RULES)
