"""Every augmentation at once."""

from losslab.settings.augment import Augment

EVERY = Augment(
    flips=True, crop=0.7, scale=(0.8, 1.2), rotation=30, elastic=0.02,
    brightness=0.2, contrast=0.3, saturation=0.4, blur=1.0, noise=0.05,
)  # fmt: skip
