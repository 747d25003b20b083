"""Scores and speed of a network on a data set, and the pictures its report needs."""
