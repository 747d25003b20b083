"""From a network's output to named losses."""
