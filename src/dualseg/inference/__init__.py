"""From images to label maps: logits functions, the predictor, folders of files."""
