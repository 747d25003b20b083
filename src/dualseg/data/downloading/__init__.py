"""Data sets that may be fetched, and archives that are not trusted."""
