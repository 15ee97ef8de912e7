"""Scoring: predictions and truth go in, integer counts per image and class come out, and the metrics made of them."""
