"""Data sets in WebDataset's layout: plain tar files, read by position."""
