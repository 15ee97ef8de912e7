"""Figures: what came out, drawn with matplotlib, the same bytes for the same numbers.

Every function takes numbers and gives a figure; `save` writes it as PNG (white) or SVG (which turns dark where the
reader's screen is dark). One subject a module: `style`, `curves`, `results`, `images`.
"""

from losslab.inference.overlays import FALSE, MISSED, RIGHT
from losslab.report.figures.curves import loss_curves, miou_curves, normalised_curves, tuning_curves
from losslab.report.figures.images import class_overlay, example_grid, outcome_grid, outcome_overlay, prediction_grid
from losslab.report.figures.results import (
    class_scores,
    dice_distribution,
    difference_forest,
    family_curve,
    leaderboard_dots,
    size_scores,
    threshold_gain,
)
from losslab.report.figures.style import PALETTE, looks, save, signed

__all__ = [
    "FALSE",
    "MISSED",
    "PALETTE",
    "RIGHT",
    "class_overlay",
    "class_scores",
    "dice_distribution",
    "difference_forest",
    "example_grid",
    "family_curve",
    "leaderboard_dots",
    "looks",
    "loss_curves",
    "miou_curves",
    "normalised_curves",
    "outcome_grid",
    "outcome_overlay",
    "prediction_grid",
    "save",
    "signed",
    "size_scores",
    "threshold_gain",
    "tuning_curves",
]
