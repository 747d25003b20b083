"""Pictures for people: overlays, curves, the report of a run and the comparison of several."""
