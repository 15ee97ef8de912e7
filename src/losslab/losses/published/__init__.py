"""Losses of published student reports exactly as those compute them, quirks included.

They take the raw network output as the prediction and compare it with masks that hold label values. What the
published numbers measure is these formulas; the textbook forms stand beside them in `losslab.losses`.
"""
