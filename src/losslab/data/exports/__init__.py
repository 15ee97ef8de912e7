"""Data sets as labelling tools export them, which have formats of their own for polygons and brush strokes."""
