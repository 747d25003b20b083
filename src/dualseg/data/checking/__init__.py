"""What can be wrong with a data set, found before the first step."""
