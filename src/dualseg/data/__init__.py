"""Images and labels: read safely, checked before training, cropped the same way every time."""
