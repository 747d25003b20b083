"""Segmentation heads: one paper, one file."""
