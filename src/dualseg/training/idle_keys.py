"""Keys of a recipe that change nothing beside its others: told when a run begins, not refused.

A refusal would also hit `resume --set training.patience=null`, whose run has a `min_delta` still.
"""

from dualseg.config import Recipe

DEFAULTS = Recipe.model_construct()
"""Without a length, which a whole recipe has to have."""
NO_HEAD = "the network has no auxiliary head"


def describe_idle_keys(recipe: Recipe, *, num_auxiliary: int) -> list[str]:
    """One line for each key that was given a value without any effect.

    Args:
        recipe: As it was asked for, before warm-ups are shortened.
        num_auxiliary: Auxiliary heads of its network.
    """
    training = recipe.training
    why = {
        "training.min_delta": "training.patience is null" if training.patience is None else "",
        "training.max_skipped_steps": ""
        if training.on_nan == "skip"
        else "training.on_nan is stop",
        "training.warmup_factor": "" if training.warmup_steps else "training.warmup_steps is 0",
        "model.auxiliary_weight": _why_no_weight(recipe, num_auxiliary),
        "model.auxiliary_channels": NO_HEAD if num_auxiliary == 0 else "",
        "model.auxiliary_activation": NO_HEAD if num_auxiliary == 0 else "",
    }
    return [
        f"note: {key} {_value(recipe, key)} has no effect: {reason}"
        for key, reason in why.items()
        if reason and _value(recipe, key) != _value(DEFAULTS, key)
    ]


def _why_no_weight(recipe: Recipe, num_auxiliary: int) -> str:
    if num_auxiliary == 0:
        return NO_HEAD
    return "loss.auxiliary_weights has one for each head" if recipe.loss.auxiliary_weights else ""


def _value(recipe: Recipe, key: str) -> object:
    section, name = key.split(".")
    return getattr(getattr(recipe, section), name)
