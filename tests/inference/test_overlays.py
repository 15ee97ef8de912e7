"""Classes as pictures: colours, masks with a palette, overlays on photographs."""

from typing import Any

import kornia
import numpy as np
import pytest
import torch

from losslab.inference.overlays import (
    GREEN,
    OKABE_ITO,
    ON_PAPER,
    ORANGE,
    SKY_BLUE,
    class_colours,
    mask_image,
    overlay,
    side_by_side,
)

GREY = np.full((6, 9, 3), 90, np.uint8)


def squares() -> np.ndarray:
    """Class 1 at the left, class 2 beside it, each 4 × 3 pixels; none around them."""
    numbers = np.zeros((6, 9), np.uint8)
    numbers[1:5, 1:4], numbers[1:5, 4:7] = 1, 2
    return numbers


@pytest.mark.parametrize("colours", [class_colours(40), ON_PAPER])
def test_no_two_classes_have_one_colour(colours: list[tuple[int, int, int]]) -> None:
    assert len(set(colours)) == len(colours)
    assert all(0 <= channel <= 255 for colour in colours for channel in colour)


def test_a_class_keeps_its_colour_whatever_others_there_are() -> None:
    assert class_colours(3) == [ORANGE, SKY_BLUE, GREEN]
    assert class_colours(12)[:7] == list(OKABE_ITO)


@pytest.mark.parametrize(
    "cones",
    [
        np.eye(3),
        [[0.152286, 1.052583, -0.204868], [0.114503, 0.786281, 0.099216], [-0.003882, -0.048116, 1.051998]],
        [[0.367322, 0.860646, -0.227968], [0.280085, 0.672501, 0.047413], [-0.011820, 0.042940, 0.968881]],
    ],
    ids=["all cones", "no red cones", "no green cones"],
)
def test_twenty_classes_are_told_apart_by_every_eye(cones: Any) -> None:
    """In CIELAB, where a distance of 2 is just seen; by the simulation of Machado, Oliveira and Fernandes (2009)."""
    colours = torch.tensor(class_colours(20), dtype=torch.float64).T.reshape(1, 3, 1, 20) / 255
    linear = kornia.color.rgb_to_linear_rgb(colours)
    seen = torch.einsum("ij,bjhw->bihw", torch.as_tensor(np.asarray(cones)), linear).clamp(0, 1)
    lab = kornia.color.rgb_to_lab(kornia.color.linear_rgb_to_rgb(seen))[0, :, 0].T
    apart = torch.cdist(lab, lab) + 1000 * torch.eye(20, dtype=torch.float64)
    assert apart.min() > 15


def test_an_overlay_has_borders_in_full_colour_and_the_inside_over_grey() -> None:
    painted = overlay(GREY, squares(), class_colours(2))
    assert (painted[squares() == 0] == 90).all()
    for number, colour, column in ((1, ORANGE, 2), (2, SKY_BLUE, 5)):
        inside = np.zeros((6, 9), bool)
        inside[2:4, column] = True
        border = (squares() == number) & ~inside
        assert {tuple(pixel) for pixel in painted[border].tolist()} == {colour}, "towards the other class too"
        shade = tuple(30 + 2 * (channel // 3) for channel in colour)
        assert {tuple(pixel) for pixel in painted[inside].tolist()} == {shade}
    assert (GREY == 90).all(), "the photograph itself stays"


def test_a_border_is_as_wide_as_is_seen_in_a_large_photograph() -> None:
    numbers = np.zeros((800, 1200), np.uint8)
    numbers[100:700, 100:700] = 1
    painted = overlay(np.zeros((800, 1200, 3), np.uint8), numbers, class_colours(1))
    assert (painted[400] == ORANGE).all(axis=-1).sum() == 2 * 3, "1200 / 400 pixels at either side"


def test_a_mask_image_holds_class_numbers_with_their_colours_or_black_and_white() -> None:
    image = mask_image(squares(), 2)
    np.testing.assert_array_equal(np.asarray(image), squares())
    assert np.asarray(image.convert("RGB"))[2, 2].tolist() == list(ORANGE)
    assert np.asarray(image.convert("RGB"))[0, 0].tolist() == [0, 0, 0]
    single = mask_image((squares() == 1).astype(np.uint8), 1)
    np.testing.assert_array_equal(np.asarray(single), 255 * (squares() == 1))


def test_pictures_stand_four_in_a_row_over_a_legend_in_the_colours_of_the_classes() -> None:
    page = side_by_side([(str(index), GREY) for index in range(5)], {"cat": ORANGE, "dog": SKY_BLUE})
    width, height, gap, line = 256, round(256 * 6 / 9), 8, 22
    assert page.size == (4 * (width + gap) + gap, 2 * (height + line + gap) + line + gap)
    pixels = np.asarray(page)
    assert pixels[gap + line + height // 2, 3 * (width + gap) + gap + width // 2].tolist() == [90] * 3, "the fourth"
    second_row = 2 * gap + height + 2 * line
    assert pixels[second_row + height // 2, gap + width // 2].tolist() == [90] * 3, "the fifth"
    assert pixels[second_row + height // 2, 2 * gap + width + width // 2].tolist() == [255] * 3, "no sixth"
    for colour in (ORANGE, SKY_BLUE):
        assert (pixels[-line:] == colour).all(axis=-1).sum() >= 15 * 15
