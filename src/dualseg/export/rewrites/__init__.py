"""Exact rewrites of networks for inference: each takes a network and gives a new one."""
