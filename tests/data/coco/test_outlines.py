"""Every kind of outline that real data sets have, and hostile ones."""

import json
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pycocotools import mask as coco_mask

from losslab.data.coco.outlines import decompress, rasterise
from losslab.data.photos import Unusable


def outline(value: Any, width: int = 20, height: int = 10) -> np.ndarray:
    """The mask of one outline. Of several, those that cover nothing are counted; of an image whose only one does, there
    is nothing to draw."""
    mask, empty = rasterise([json.dumps(value).encode()], width, height)
    assert empty == (not mask.any())
    if empty:
        raise Unusable("no_area")
    return mask


SQUARE = np.zeros((10, 20), np.uint8)
SQUARE[2:6, 3:9] = 1


def compressed(mask: np.ndarray) -> str:
    return coco_mask.encode(np.asfortranarray(mask))["counts"].decode()


def test_polygons_and_both_kinds_of_rle_give_the_same_mask() -> None:
    runs = np.diff(np.flatnonzero(np.diff(SQUARE.T.ravel(), prepend=2, append=2))).tolist()
    for form in (
        [[3, 2, 9, 2, 9, 6, 3, 6]],
        [[3, 2, 6, 2, 6, 6, 3, 6], [6, 2, 9, 2, 9, 6, 6, 6]],
        {"size": [10, 20], "counts": runs},
        {"size": [10, 20], "counts": compressed(SQUARE)},
    ):
        np.testing.assert_array_equal(outline(form), SQUARE)


def test_a_polygon_partly_outside_is_clipped() -> None:
    mask = outline([[-5, -5, 10, -5, 10, 5, -5, 5]])
    assert mask[:5, :10].all()
    assert mask.sum() == 50


def test_the_mask_of_several_outlines_is_their_union_and_those_without_area_are_counted() -> None:
    outlines = [[[3, 2, 6, 2, 6, 6, 3, 6]], [[4, 4, 4, 4, 4, 4]], {"size": [10, 20], "counts": compressed(SQUARE)}]
    mask, empty = rasterise([json.dumps(value).encode() for value in outlines], 20, 10)
    np.testing.assert_array_equal(mask, SQUARE)
    assert empty == 1
    assert rasterise([], 20, 10)[0].shape == (10, 20)


@pytest.mark.parametrize(
    ("value", "reason"),
    [
        (None, "no_segmentation"),
        ([], "no_segmentation"),
        ([[]], "bad_polygon"),
        ([[1, 1, 5, 5]], "bad_polygon"),
        ([[1, 1, 5, 5, 3]], "bad_polygon"),
        ([[1, 1, 5, 5, 3, 9, 2]], "bad_polygon"),
        ([[1, 1, 1e300, 5, 3, 9]], "polygon_outside_image"),
        ([[-100, -100, -90, -100, -90, -90]], "polygon_outside_image"),
        ([[-9, -9, -5, -9, -5, -5]], "no_area"),
        ([[4, 4, 4, 4, 4, 4]], "no_area"),
        ({"size": [10, 20], "counts": [200]}, "no_area"),
        ({"size": [10, 20], "counts": []}, "bad_rle"),
        ({"size": [10, 20], "counts": [1, 2]}, "bad_rle"),
        ({"size": [10, 20], "counts": [300, -100]}, "bad_rle"),
        ({"size": [20, 10], "counts": [100, 100]}, "bad_rle"),
        ({"size": [10, 20], "counts": [10**30]}, "bad_rle"),
        ({"size": [10, 20], "counts": ""}, "bad_rle"),
        ({"size": [10, 20], "counts": "o"}, "bad_rle"),
        ({"size": [10, 20], "counts": "oooooooooooooooo0"}, "bad_rle"),
        ({"size": [10, 20], "counts": "\u00e9\u0000"}, "bad_rle"),
    ],
)
def test_an_outline_that_cannot_be_drawn_has_a_reason(value: Any, reason: str) -> None:
    with pytest.raises(Unusable, match=reason):
        outline(value)


def test_an_absurd_size_is_not_drawn() -> None:
    with pytest.raises(Unusable, match="too_large"):
        outline([[0, 0, 9, 0, 9, 9]], 2**31 - 1, 2**31 - 1)


@given(st.integers(0, 2**32 - 1), st.integers(1, 40), st.integers(1, 40))
@settings(max_examples=60, deadline=None)
def test_decompression_is_what_pycocotools_compressed(seed: int, height: int, width: int) -> None:
    mask = (np.random.default_rng(seed).random((height, width)) < 0.3).astype(np.uint8)
    counts = decompress(compressed(mask))
    np.testing.assert_array_equal(np.repeat(np.arange(len(counts)) % 2, counts), mask.T.ravel())


OUTLINES = st.one_of(
    st.lists(st.lists(st.floats(-60, 60) | st.floats(allow_nan=False, allow_infinity=False), max_size=10), max_size=3),
    st.fixed_dictionaries({
        "size": st.just([10, 20]) | st.tuples(st.integers(-5, 30), st.integers(-5, 30)),
        "counts": st.lists(st.integers(-50, 250), max_size=6) | st.text(max_size=12),
    }),
)  # fmt: skip


@given(OUTLINES)
@settings(max_examples=200, deadline=None)
def test_no_outline_makes_a_traceback(value: Any) -> None:
    try:
        mask = outline(value)
    except Unusable:
        return
    assert mask.shape == (10, 20)
    assert mask.any()


@given(OUTLINES)
@settings(max_examples=5000, deadline=1000)
@pytest.mark.slow
def test_no_outline_makes_a_traceback_in_5000_cases(value: Any) -> None:
    test_no_outline_makes_a_traceback.hypothesis.inner_test(value)  # type: ignore[attr-defined]
