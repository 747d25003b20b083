"""The fully connected CRF: sharpens probabilities along the edges of the image."""
