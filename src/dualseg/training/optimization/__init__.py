"""What moves the weights: optimiser, rates, frozen parts, averages, gradients of many processes."""
