"""Checkpoints of other libraries, read without running a line of theirs."""
