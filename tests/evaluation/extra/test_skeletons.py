"""Skeletons against the paper's rule in plain loops, and clDice by hand."""

import numpy as np
import pytest
import torch
from drawn_masks import blobs, drawn
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from losslab.evaluation.extra.components import betti
from losslab.evaluation.extra.known import known
from losslab.evaluation.extra.measuring import measure
from losslab.evaluation.extra.skeletons import skeletons
from losslab.evaluation.formulas import f_of_shares


def thinned(mask: NDArray[np.bool_]) -> NDArray[np.bool_]:
    """Guo and Hall's algorithm A1 of one mask, pixel by pixel."""
    image = np.pad(mask, 1).astype(int)
    while True:
        before = image.copy()
        for step in range(2):
            gone = []
            for y, x in np.argwhere(image):
                # Clockwise from above: p1 to p8.
                ring = [(-1, 0), (-1, 1), (0, 1), (1, 1), (1, 0), (1, -1), (0, -1), (-1, -1)]
                p = [image[y + dy, x + dx] for dy, dx in ring]
                components = sum(not p[i] and (p[i + 1] or p[(i + 2) % 8]) for i in (0, 2, 4, 6))
                pairs = [sum(p[i - shift] or p[(i + 1 - shift) % 8] for i in (0, 2, 4, 6)) for shift in (0, 1)]
                kept = p[2] and (p[0] or p[1] or not p[3]) if step == 0 else p[6] and (p[4] or p[5] or not p[7])
                if components == 1 and 2 <= min(pairs) <= 3 and not kept:
                    gone.append((y, x))
            for y, x in gone:
                image[y, x] = 0
        if (image == before).all():
            return image[1:-1, 1:-1] == 1


@given(st.integers(0, 2**20), st.tuples(st.integers(1, 12), st.integers(1, 12)))
@settings(max_examples=40, deadline=None)
def test_skeletons_are_those_of_the_paper(seed: int, size: tuple[int, int]) -> None:
    masks = blobs(seed, size)
    lines = [thinned(mask) for mask in masks]
    np.testing.assert_array_equal(skeletons(masks), lines)
    for mask, line in zip(masks, lines, strict=True):  # as a transposed tensor lies in memory
        np.testing.assert_array_equal(skeletons(np.asfortranarray(mask)[None]), line[None])


@given(st.integers(0, 2**20), st.tuples(st.integers(1, 20), st.integers(1, 20)))
@settings(max_examples=100, deadline=None)
def test_a_skeleton_has_the_components_and_holes_of_its_mask_and_is_its_own(seed: int, size: tuple[int, int]) -> None:
    masks = blobs(seed, size)
    lines = skeletons(masks)
    assert not (lines & ~masks).any()
    np.testing.assert_array_equal(skeletons(lines), lines)
    of_masks, of_lines = (
        betti(known(torch.from_numpy(each)[None, None], torch.from_numpy(each)[None], None)) for each in (masks, lines)
    )
    np.testing.assert_array_equal(of_lines, of_masks)


def cl_dice(predicted: torch.Tensor, target: torch.Tensor) -> list[float]:
    counts: list[float] = measure(["cl_dice"], predicted[None] == 1, target)["cl_dice"][0, 0, 0].tolist()
    return counts


def test_thickness_costs_nothing_and_a_break_does() -> None:
    thin = drawn(".........", ".........", ".#######.", ".........", ".........")
    thick = drawn(".........", ".#######.", ".#######.", ".#######.", ".........")
    broken = drawn(".........", ".........", ".###.###.", ".........", ".........")
    predicted, inside, true, met = cl_dice(thick, thin)
    assert (inside, true, met) == (predicted, 7, 7)
    assert cl_dice(broken, thin) == [6, 6, 7, 6]
    assert f_of_shares(np.array([cl_dice(broken, thin)]))[0] == pytest.approx(2 * 1 * (6 / 7) / (1 + 6 / 7))


def test_a_class_in_one_mask_scores_zero_and_one_in_neither_is_left_out() -> None:
    line, nothing = drawn("....", ".##.", "...."), drawn("....", "....", "....")
    assert f_of_shares(np.array([cl_dice(nothing, line), cl_dice(line, nothing)])).tolist() == [0, 0]
    assert np.isnan(f_of_shares(np.array([cl_dice(nothing, nothing)]))).all()


def test_what_is_unknown_is_in_neither_skeleton() -> None:
    assert cl_dice(drawn("#########"), drawn("####?####")) == [8, 8, 8, 8]
    assert cl_dice(drawn("####.####"), drawn("####?####")) == [8, 8, 8, 8]
