import pytest

from dualseg.config import check_recipe, load_recipe
from dualseg.config.loss import CLASS_WEIGHT_RULES, LOSS_TERMS
from dualseg.core.errors import InputError
from dualseg.data.labels import class_weights


def recipe_of(**sections):
    return check_recipe({**sections, "training": {"max_steps": 1}}, origin="test")


def test_the_default_is_cross_entropy_alone():
    loss = recipe_of().loss
    assert loss.terms == {"cross_entropy": 1.0}
    assert loss.class_weights is None
    assert loss.label_smoothing == 0.0


@pytest.mark.parametrize("name", LOSS_TERMS)
def test_every_term_can_be_named(name):
    assert recipe_of(loss={"terms": {name: 0.5}}).loss.terms == {name: 0.5}


def test_the_rules_for_class_weights_are_those_that_can_be_counted():
    assert set(CLASS_WEIGHT_RULES) == set(class_weights.CLASS_WEIGHT_RULES)


def test_a_term_can_be_set_on_the_command_line():
    loss = load_recipe(None, overrides=["loss.terms.cross_entropy=1", "loss.terms.dice=0.5"]).loss
    assert loss.terms == {"cross_entropy": 1.0, "dice": 0.5}


@pytest.mark.parametrize(
    ("loss", "reason"),
    [
        ({"terms": {"lovas": 1}}, "there is no loss 'lovas'; did you mean lovasz"),
        ({"terms": {}}, "name at least one term; allowed: bootstrapped"),
        ({"terms": {"dice": 0}}, "weight of dice is 0.0; give one above 0, or no term"),
        ({"class_weights": "median"}, "no rule 'median' .*allowed: cityscapes, inverse_log"),
        ({"class_weights": [1, -1]}, "class weights are 0 or more"),
        ({"class_weights": []}, "class weights are 0 or more"),
        ({"terms": {"dice": 1}, "class_weights": [1, 2]}, "class_weights has no effect"),
        ({"terms": {"dice": 1}, "label_smoothing": 0.1}, "label_smoothing has no effect"),
        ({"focal": {"gamma": 1}}, "options of focal have no effect: terms has no focal"),
        ({"terms": {"ohem": 1}, "ohem": {"treshold": 1}}, "unknown key; did you mean threshold"),
        ({"auxiliary_weights": [0.4, -1]}, "weight of an auxiliary head is 0 or more"),
    ],
)
def test_what_cannot_be_is_explained(loss, reason):
    with pytest.raises(InputError, match=reason):
        recipe_of(loss=loss)


@pytest.mark.parametrize(
    ("settings", "reason"),
    [
        ({"temperature": 2.0}, "temperature has no effect without a teacher"),
        ({"teacher": "run", "weight": 0}, "weight and feature_weight are both 0"),
    ],
)
def test_a_distillation_without_an_effect_is_explained(settings, reason):
    with pytest.raises(InputError, match=reason):
        recipe_of(distillation=settings)
