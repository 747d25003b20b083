"""Packaged recipes: one YAML a run that can be reproduced."""
