"""Files a network is kept in: weights and facts for use, and the state a run continues from."""
