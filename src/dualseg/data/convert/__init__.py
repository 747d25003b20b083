"""Data sets in other label formats, each of which is read again pixel for pixel."""
