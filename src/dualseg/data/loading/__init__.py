"""From a data set to batches: caches, crops, order."""
