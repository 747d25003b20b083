"""Pictures as they are: formats, bands, orientation, bytes that are no picture."""
