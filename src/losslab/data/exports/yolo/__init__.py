"""YOLO's segmentation format: a folder with data.yaml, images and polygons goes in; tensors of its splits come out."""
