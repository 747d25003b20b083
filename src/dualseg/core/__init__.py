"""What every other part shares: outputs, labels, model facts, errors, geometry."""
