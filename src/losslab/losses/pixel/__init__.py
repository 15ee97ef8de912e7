"""Losses that are a mean over pixels."""
