"""The section `train.augment` of params.yaml: how training images are changed at random, each anew in every epoch."""

from typing import Annotated

from pydantic import Field, model_validator

from losslab.settings.schema import Section, UnitInterval, invalid

Zoom = Annotated[float, Field(ge=0.1, le=10)]


class Augment(Section):
    """What is drawn for each image, uniformly unless said otherwise; what stays at its default is not done.

    Masks move with their images. Where an image is moved so that its outside shows, the mask is void there.
    """

    flips: bool = False
    """Mirrored left–right with probability ½, and up–down with probability ½."""
    crop: Annotated[float, Field(ge=0.1, le=1)] = 1.0
    """Shortest side of a window at a random place, as a share of the image's; the window is enlarged to the image."""
    scale: tuple[Zoom, Zoom] = (1.0, 1.0)
    """Smallest and largest factor that an image is enlarged by about its centre; its logarithm is uniform."""
    rotation: Annotated[float, Field(ge=0, le=180)] = 0.0
    """Degrees, the most in either direction."""
    elastic: Annotated[float, Field(ge=0, le=0.25)] = 0.0
    """Standard deviation of a smooth displacement, as a share of the image's side."""
    brightness: UnitInterval = 0.0
    """Values times a factor in 1 ± this; the two below likewise."""
    contrast: UnitInterval = 0.0
    """Distance to the image's mean grey times a factor."""
    saturation: UnitInterval = 0.0
    """Distance of each pixel's colour to its grey times a factor."""
    blur: Annotated[float, Field(ge=0, le=10)] = 0.0
    """Pixels, the most: standard deviation of a Gaussian blur."""
    noise: UnitInterval = 0.0
    """The most, as a share of the range 0–255: standard deviation of Gaussian noise on each value."""

    @model_validator(mode="after")
    def _scales_are_in_order(self) -> "Augment":
        smallest, largest = self.scale
        if smallest > largest:
            raise invalid("scale", f"[{smallest}, {largest}]: the smallest factor stands first", self.scale)
        return self
