"""Losses as pure functions; every one leaves ignored pixels out."""
