"""Losses of structure: what is thin, what is connected, and how neighbours depend on each other."""
