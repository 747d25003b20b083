"""Feature extractors that declare the channels and strides of what they return."""
