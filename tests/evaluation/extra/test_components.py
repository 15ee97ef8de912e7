"""Components and holes against networkx and Euler's formula, and by hand where something is unknown."""

import networkx
import numpy as np
import torch
from drawn_masks import blobs, drawn
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray
from torch import Tensor

from losslab.evaluation.extra.measuring import measure

SIZES = st.tuples(st.integers(1, 14), st.integers(1, 14))


def measured(metric: str, predicted: Tensor, target: Tensor) -> list[float]:
    values: list[float] = measure([metric], predicted[None] == 1, target)[metric][0, 0, 0].tolist()
    return values


def together(metric: str, predicted: Tensor, target: Tensor) -> NDArray[np.float64]:
    """Of many planes at once, `[N, C, 4]`."""
    return measure([metric], predicted[None], target)[metric][0]


def parts(mask: NDArray[np.bool_]) -> list[set[tuple[int, int]]]:
    """The components of a mask, neighbours by side or corner, by networkx."""
    graph = networkx.Graph()
    pixels = {(int(y), int(x)) for y, x in np.argwhere(mask)}
    graph.add_nodes_from(pixels)
    for y, x in pixels:
        around = ((y, x + 1), (y + 1, x - 1), (y + 1, x), (y + 1, x + 1))
        graph.add_edges_from(((y, x), other) for other in around if other in pixels)
    return list(networkx.connected_components(graph))


def euler(mask: NDArray[np.bool_]) -> int:
    """Corners − sides + pixels of the squares that the pixels are: components − holes."""
    padded = np.pad(mask, 1)
    rows, columns = padded[1:] | padded[:-1], padded[:, 1:] | padded[:, :-1]
    corners = rows[:, 1:] | rows[:, :-1]
    return int(corners.sum()) - int(rows.sum()) - int(columns.sum()) + int(mask.sum())


@given(st.integers(0, 2**20), SIZES)
@settings(max_examples=80, deadline=None)
def test_components_are_those_of_networkx(seed: int, size: tuple[int, int]) -> None:
    predicted, target = blobs(seed, size), blobs(seed + 1, size)
    ours = together("components", torch.from_numpy(predicted)[None], torch.from_numpy(target)[None])
    for guess, true, counts in zip(predicted, target, ours[0], strict=True):
        pairs = [
            (parts(one), {(int(y), int(x)) for y, x in np.argwhere(o)}) for one, o in ((guess, true), (true, guess))
        ]
        expected = [number for one, o in pairs for number in (len(one), sum(bool(part & o) for part in one))]
        assert counts.tolist() == expected


@given(st.integers(0, 2**20), SIZES)
@settings(max_examples=80, deadline=None)
def test_holes_are_those_of_eulers_formula(seed: int, size: tuple[int, int]) -> None:
    predicted, target = blobs(seed, size), blobs(seed + 1, size)
    ours = together("betti", torch.from_numpy(predicted)[None], torch.from_numpy(target)[None])
    for masks, numbers in ((predicted, ours[0, :, :2]), (target, ours[0, :, 2:])):
        expected = [(len(parts(mask)), len(parts(mask)) - euler(mask)) for mask in masks]
        np.testing.assert_array_equal(numbers, expected)


@given(st.integers(0, 2**20), SIZES)
@settings(max_examples=30, deadline=None)
def test_neither_planes_beside_it_nor_turns_change_a_plane(seed: int, size: tuple[int, int]) -> None:
    predicted, target = (torch.from_numpy(blobs(seed + n, size))[None] for n in (0, 1))
    for metric in ("components", "betti"):
        ours = together(metric, predicted, target)
        alone = [together(metric, predicted[:, [n]], target[:, [n]]) for n in range(predicted.shape[1])]
        np.testing.assert_array_equal(ours, np.concatenate(alone, axis=1))
        turned = together(metric, predicted.rot90(1, (2, 3)), target.rot90(1, (2, 3)))
        np.testing.assert_array_equal(ours, turned)
        swapped = together(metric, target, predicted)
        np.testing.assert_array_equal(ours, swapped[..., [2, 3, 0, 1]])


def test_one_lesion_hit_one_missed_and_one_made_up() -> None:
    truth = drawn("##....#", "##....#", ".......")
    predicted = drawn(".#.....", ".......", "...#...")
    assert measured("components", predicted, truth) == [2, 1, 2, 1]
    assert measured("betti", predicted, truth) == [2, 0, 2, 0], "as many, though elsewhere"


def test_a_ring_has_a_hole_and_a_broken_one_has_none() -> None:
    ring = drawn(".....", ".###.", ".#.#.", ".###.", ".....")
    assert measured("betti", drawn(".....", ".###.", ".#...", ".###.", "....."), ring) == [1, 0, 1, 1]
    assert measured("betti", drawn("..#..", ".#.#.", "..#..", ".....", "....."), ring) == [1, 1, 1, 1], "by corners"
    assert measured("betti", drawn(".....", ".###.", ".###.", ".###.", "....."), ring) == [1, 0, 1, 1]


def test_a_prediction_that_may_belong_to_what_is_unknown_is_not_false() -> None:
    truth = drawn("........", ".????...", ".?##?...", ".????...", "........")
    around = drawn("......##", "######.#", "######..", "######..", "........")
    # The outer pixels lie on no true pixel, and beside the unknown outline; those at the right do not.
    assert measured("components", around, truth) == [1, 1, 1, 1]
    elsewhere = drawn(".......#", ".......#", ".......#", "........", "........")
    assert measured("components", elsewhere, truth) == [1, 0, 1, 0], "missed, though its outline is unknown"


def test_an_object_cut_by_the_unknown_is_counted_in_parts() -> None:
    assert measured("components", drawn("##...."), drawn("##?##.")) == [1, 1, 2, 1]
    assert measured("betti", drawn("#####."), drawn("##?##.")) == [2, 0, 2, 0]


def test_a_hole_in_which_something_is_unknown_is_none() -> None:
    truth = drawn("#####", "#...#", "#.?.#", "#...#", "#####")
    assert measured("betti", truth, truth) == [1, 0, 1, 0]
    assert measured("betti", drawn(*["#####"] * 5), truth) == [1, 0, 1, 0]


def test_padding_is_as_if_it_were_not_there() -> None:
    truth, predicted = drawn("????", "?...", "?.#.", "????"), drawn("####", "#..#", "#...", "####")
    assert measured("components", predicted, truth) == [1, 0, 1, 0]
    inside = (slice(None), slice(None), slice(1, 3), slice(1, 4))
    assert measured("components", predicted[inside], truth[inside]) == [1, 0, 1, 0]
