"""Scores of predicted label maps, always from one confusion matrix over the whole data set."""
