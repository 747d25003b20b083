"""What label files say: values, colours, counts, weights."""
