"""Data sets with a mask file for each image: pairs of files go in, tensors come out."""
