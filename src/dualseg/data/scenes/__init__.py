"""The parts that a generated street scene is drawn from."""
