"""Brush strokes: what an encoder of another make wrote is read bit for bit, and what is damaged has a reason."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from label_studio_world import encode

from losslab.data.exports.label_studio.brush import decode
from losslab.data.photos import Unusable


@pytest.mark.parametrize("singles", [True, False])
@pytest.mark.parametrize("sizes", [(3, 4, 8, 16), (1, 2, 5, 9), (16, 16, 16, 16)])
@pytest.mark.parametrize("kind", ["nothing", "all", "noise", "square", "shades"])
def test_a_stroke_is_read_bit_for_bit(kind: str, sizes: tuple[int, ...], singles: bool) -> None:
    rng = np.random.default_rng(3)
    alpha = np.zeros((37, 53), np.uint8)
    if kind == "all":
        alpha[:] = 255
    if kind == "noise":
        alpha[:] = 255 * rng.integers(0, 2, alpha.shape)
    if kind == "square":
        alpha[5:20, 7:40] = 255
    if kind == "shades":
        alpha[:] = rng.integers(0, 4, alpha.shape)
    np.testing.assert_array_equal(decode(encode(alpha, sizes, singles), 53, 37), alpha > 0)


def test_a_run_that_begins_within_a_pixel_is_told_by_its_alpha() -> None:
    """Of two pixels red, green, blue of the first are 9 and all else 0; and the other way round."""
    header = f"{8:032b}{7:05b}" + "".join(f"{size - 1:04b}" for size in (3, 4, 8, 16))

    def packed(*runs: tuple[int, int]) -> list[int]:
        bits = header + "".join(f"100{length - 1:03b}{value:08b}" for length, value in runs)
        bits += "0" * (-len(bits) % 8)
        return [int(bits[place : place + 8], 2) for place in range(0, len(bits), 8)]

    assert decode(packed((3, 9), (5, 0)), 2, 1).tolist() == [[0, 0]]
    assert decode(packed((3, 0), (1, 9), (4, 0)), 2, 1).tolist() == [[1, 0]]
    assert decode(packed((3, 0), (5, 9)), 2, 1).tolist() == [[1, 1]]


def test_the_header_is_that_of_a_real_export() -> None:
    """A published stroke on an image of 3332 × 2527 pixels begins 2, 1, 233, 240, 57, 27."""
    assert encode(np.zeros((2527, 3332), np.uint8))[:6] == [2, 1, 233, 240, 57, 27]


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        (lambda rle: rle[:-1], "bad_rle"),
        (lambda rle: rle[:3], "bad_rle"),
        (lambda rle: [], "bad_rle"),
        (lambda rle: [*rle[:3], rle[3] + 4, *rle[4:]], "size_disagrees"),
        (lambda rle: [*rle[:4], 0b11111001, *rle[5:]], "bad_rle"),  # values of 32 bits
        (lambda rle: [*rle[:6], 0xFF, 0xFF, 0xFF, *rle[9:]], "bad_rle"),  # a run beyond the end
    ],
)
def test_a_stroke_that_is_damaged_has_a_reason(change: object, reason: str) -> None:
    whole = encode(np.eye(8, dtype=np.uint8))
    with pytest.raises(Unusable, match=reason):
        decode(change(whole), 8, 8)  # type: ignore[operator]


@settings(max_examples=50, deadline=None)
@given(st.lists(st.integers(0, 255), max_size=60))
def test_any_bytes_are_a_mask_or_have_a_reason(content: list[int]) -> None:
    header = encode(np.zeros((4, 4), np.uint8))[:6]
    try:
        outcome = decode([*header, *content], 4, 4).tolist()
    except Unusable as reason:
        outcome = [str(reason)]
    assert outcome == ["bad_rle"] or all(value in (0, 1) for row in outcome for value in row)
