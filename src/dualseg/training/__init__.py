"""From a recipe to a run folder: objective, optimiser, loop, and going on after a stop."""
