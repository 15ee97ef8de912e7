"""losslab: train one segmentation network with many losses and say, with numbers, which is best."""

__version__ = "0.1.0"
