"""Data sets in COCO's format: annotations go in, tensors of the selected images come out."""
