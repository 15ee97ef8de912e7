"""Using a trained network: images go in, probabilities and masks come out; training and evaluation do so too."""
