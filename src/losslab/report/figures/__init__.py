"""Figures: what came out, drawn with matplotlib, the same bytes for the same numbers.

Numbers go in, a figure comes out, and `style.save` writes it as PNG (white) or SVG (which turns dark where the reader's
screen is dark). `curves` shows training, `results` scores, `images` masks.
"""
