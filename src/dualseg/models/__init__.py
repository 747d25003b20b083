"""Networks: backbone -> neck -> head -> predictor, and DSRL around any of them."""
