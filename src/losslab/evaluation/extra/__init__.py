"""Metrics that are measured only where `evaluate.metrics` names them, since they cost more or matter to some data.

Masks and probabilities go in, numbers per image and class come out, in the columns of `results.scores.EXTRAS`."""

KINDS = {
    "cl_dice": "skeletons:cl_dice",
    "components": "components:components",
    "betti": "components:betti",
    "calibration": "calibration:calibration",
}
"""Name → the function that measures it; `results.scores.EXTRAS` has its columns."""
