"""Losses of thin structures: what is connected, and where a structure runs."""
