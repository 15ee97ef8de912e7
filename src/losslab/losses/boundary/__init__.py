"""Losses of the distance between outlines."""
