"""Warm-ups of a recipe written for a longer run, made to fit a short one."""

from collections.abc import Callable

from dualseg.config import Recipe

LONGEST_SHARE = 0.5  # of the run; a warm-up that takes more was meant for a longer run
USED_SHARE = 0.1


def shorten_warm_ups(recipe: Recipe, max_steps: int, report: Callable[[str], None]) -> Recipe:
    """The recipe whose warm-ups end in time.

    A warm-up of more than half of the run becomes a tenth of it: otherwise the learning rate, or
    the weights of DSRL's losses, would hardly ever be those the recipe names. Others stay.

    Args:
        recipe: What is trained.
        max_steps: Length of the run.
        report: Is told in one line what was asked for and what is used.
    """
    asked = {"training.warmup_steps": recipe.training.warmup_steps}
    if recipe.dsrl.enabled:
        asked["dsrl.warmup_steps"] = recipe.dsrl.warmup_steps
    too_long = {key: steps for key, steps in asked.items() if steps > LONGEST_SHARE * max_steps}
    if not too_long:
        return recipe
    used = int(USED_SHARE * max_steps)
    changes = ", ".join(f"{key} {steps} -> {used}" for key, steps in too_long.items())
    report(
        f"warning: {changes}: more than half of the run's {max_steps} steps would be warm-up, so "
        "a tenth of them is used"
    )
    sections = {key.partition(".")[0] for key in too_long}
    shorter = {"warmup_steps": used}
    return recipe.model_copy(
        update={name: getattr(recipe, name).model_copy(update=shorter) for name in sections}
    )
