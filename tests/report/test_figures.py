"""Figures: the same bytes for the same numbers, on light and dark, and whatever is lacking."""

from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from losslab.comparison.overall import Ranks
from losslab.inference import overlays
from losslab.report.figures import curves, images, results, style, tuning
from losslab.report.figures.style import DARK, INK
from losslab.results.history import Row
from losslab.results.standings import Standing


def history(seeds: int = 2, diverged: bool = False) -> list[Row]:
    rows = [
        Row(seed, epoch, 10 * epoch, split, metric, 1.0 / epoch)
        for seed in range(seeds)
        for epoch in (1, 2, 3)
        for split, metric in (("train", "loss"), ("val", "loss"), ("val", "miou"), ("val", "miou_tuned"))
    ]
    return [*rows, Row(0, 3, 30, "train", "diverged", 1.0)] if diverged else rows


def board(*losses: str, mean: float | None = 0.6) -> list[Standing]:
    return [
        Standing(
            "d", "n", loss, "miou", rule, mean, mean and mean - 0.1, mean and mean + 0.1, 3, 9, delta, delta, delta
        )
        for i, loss in enumerate(losses)
        for rule in ("fixed", "tuned")
        for delta in [0.1 if i and mean else None]
    ]


def numbers(mean: float | None = 0.5) -> dict[str, float | None]:
    return {"mean": mean, "low": mean and 0.4, "high": mean and 0.6}


IMAGES = np.full((1, 3, 8, 8), 100, np.uint8)
MASKS = np.zeros((1, 1, 8, 8), np.bool_)
SIZE = {"size": "all", "objects": 3, "smallest_area": 1, "largest_area": 9}
NAMES = [f"loss{i}" for i in range(20)]

CASES = {
    "no loss left": lambda: results.leaderboard_dots(board("a", mean=None)),
    "no difference": lambda: results.difference_forest(board("a"), "a"),
    "one difference": lambda: results.difference_forest(board("a", "b"), "a"),
    "no history": lambda: curves.miou_curves({"a": []}),
    "nothing to normalise": lambda: curves.normalised_curves({"a": []}),
    "one seed": lambda: curves.miou_curves({"a": history(1)}),
    "a diverged run": lambda: curves.loss_curves({"a": history(diverged=True), "b": history(1)}),
    "twenty losses": lambda: curves.normalised_curves({name: history() for name in NAMES}),
    "one class, a loss without a model": lambda: results.class_scores(
        [{"loss": "a", "class": "c", **numbers()}, {"loss": "b", "class": "c", **numbers(None)}], ["a", "b"]
    ),
    "eighty classes": lambda: results.class_scores(
        [{"loss": "a", "class": f"c{i}", **numbers()} for i in range(80)], ["a"]
    ),
    "one size": lambda: results.size_scores([{"loss": "a", **SIZE, **numbers()}], ["a"]),
    "no gain": lambda: results.threshold_gain([{"loss": "a", **numbers(None)}]),
    "ranks": lambda: results.critical_difference(Ranks({"a": 1.2, "b": 1.8, "c" * 40: 3.0}, 1.35, 6)),
    "no image Dice": lambda: results.dice_distribution({"a": np.array([np.nan])}, ["a"]),
    "image Dice": lambda: results.dice_distribution({"a": np.array([0.0, 0.5, np.nan, 1.0])}, ["b", "a"]),
    "a family": lambda: results.family_curve(
        {"name": "f", "x_label": "weight", "members": [{"loss": "b", "x": 1}, {"loss": "a", "x": 0}]}, board("a", "b")
    ),
    "a family without models": lambda: results.family_curve(
        {"name": "f", "x_label": "weight", "members": [{"loss": "a", "x": 0}]}, board("a", mean=None)
    ),
    "an image without objects": lambda: images.example_grid(IMAGES, MASKS, ["c"], ["1"]),
    "predictions": lambda: images.outcome_grid(IMAGES, MASKS, {"a": ~MASKS}, ["1"]),
}


@pytest.mark.parametrize("case", CASES)
def test_a_figure_is_drawn_whatever_is_lacking(case: str, tmp_path: Path) -> None:
    style.save(CASES[case](), tmp_path / "a.png")
    assert Image.open(tmp_path / "a.png").size[0] > 200


@pytest.mark.parametrize("case", ["a diverged run", "predictions"])
def test_the_same_numbers_give_the_same_bytes(case: str, tmp_path: Path) -> None:
    for copy in ("first", "second"):
        style.save(CASES[case](), tmp_path / f"{copy}.png", tmp_path / f"{copy}.svg")
    for suffix in (".png", ".svg"):
        first, second = ((tmp_path / f"{copy}{suffix}").read_bytes() for copy in ("first", "second"))
        assert first == second


def test_an_svg_turns_dark_and_names_no_date_or_version(tmp_path: Path) -> None:
    style.save(CASES["one seed"](), tmp_path / "a.svg")
    text = (tmp_path / "a.svg").read_text(encoding="utf-8")
    assert f'[style*="fill: {INK}"]{{fill:{DARK[INK]}!important}}' in text
    assert f"fill: {INK}" in text.split("</style>", 1)[1], "the colours that the rules replace are there"
    assert "dc:date" not in text
    assert "Matplotlib" not in text


def test_losses_of_one_colour_differ_in_their_dashes() -> None:
    looks = style.looks(NAMES)
    assert len({(look.colour, look.dash) for look in looks.values()}) == len(NAMES)


def test_colours_stand_out_from_white_and_from_the_dark_page() -> None:
    def luminance(colour: Any) -> float:
        parts = np.array([int(colour[k : k + 2], 16) for k in (1, 3, 5)]) / 255
        linear = np.where(parts <= 0.04045, parts / 12.92, ((parts + 0.055) / 1.055) ** 2.4)
        return float(linear @ [0.2126, 0.7152, 0.0722])

    for colour in style.PALETTE:
        for ground in ("#ffffff", DARK["#ffffff"]):
            dark, light = sorted((luminance(colour), luminance(ground)))
            assert (light + 0.05) / (dark + 0.05) >= 2.95, (colour, ground)


def class_rows(count: int, losses: tuple[str, ...] = ("a", "b")) -> list[dict[str, Any]]:
    return [{"loss": loss, "class": f"c{i}", **numbers(i / count)} for i in range(count) for loss in losses]


def test_three_hundred_classes_make_a_figure_of_a_page_and_say_what_is_left_out() -> None:
    figure = results.class_scores(class_rows(300), ["a", "b"])
    assert figure.get_figheight() < 13
    assert len(figure.axes[0].get_yticklabels()) == 60
    assert "the 60 of 300 classes on which losses differ most" in figure.axes[1].get_ylabel()


def test_the_classes_that_are_kept_are_those_on_which_losses_differ() -> None:
    rows = class_rows(100)
    for row in rows:
        row["mean"] = 0.9 if row["class"] == "c77" and row["loss"] == "a" else 0.5
    kept = [label.get_text() for label in results.class_scores(rows, ["a", "b"]).axes[0].get_yticklabels()]
    assert "c77" in kept


@pytest.mark.parametrize("name", ["a class whose name goes on and on", "c"])
def test_names_of_classes_do_not_overlap(name: str) -> None:
    names = [f"{name}{k}" for k in range(12)]
    rows = [{"loss": "a", "class": each, **numbers()} for each in names]
    figure = results.class_scores(rows, ["a"])
    figure.canvas.draw()
    boxes = [label.get_window_extent() for label in figure.axes[0].get_xticklabels()]
    turned = figure.axes[0].get_xticklabels()[0].get_rotation() > 0
    assert turned == (len(name) > 5)
    if not turned:
        assert all(left.x1 < right.x0 for left, right in pairwise(boxes))
    assert all(len(label.get_text()) <= 22 for label in figure.axes[0].get_xticklabels())


@pytest.mark.filterwarnings("error")
def test_chinese_japanese_and_korean_names_are_drawn(tmp_path: Path) -> None:
    rows = [{"loss": "a", "class": name, **numbers()} for name in ("汽车", "自転車", "사람")]
    style.save(results.class_scores(rows, ["a"]), tmp_path / "a.png", tmp_path / "a.svg")
    assert "汽车" in (tmp_path / "a.svg").read_text(encoding="utf-8")


def test_an_overlay_colours_right_missed_and_false_pixels() -> None:
    truth, predicted = np.zeros((2, 2, 2), np.bool_), np.zeros((2, 2, 2), np.bool_)
    truth[0, 0] = True  # class 0 in the upper row
    predicted[0, :, 0] = True  # predicted in the left column
    painted = images.outcome_overlay(np.zeros((2, 2, 3), np.uint8), truth, predicted)
    assert [tuple(painted[y, x]) for y, x in ((0, 0), (0, 1), (1, 0), (1, 1))] == [
        overlays.RIGHT, overlays.MISSED, overlays.FALSE, (90, 90, 90),
    ]  # fmt: skip


def test_a_class_overlay_leaves_the_background_as_it_was() -> None:
    picture = np.full((8, 8, 3), 77, np.uint8)
    mask = np.zeros((1, 8, 8), np.bool_)
    mask[0, 2:6, 2:6] = True
    painted = images.class_overlay(picture, mask)
    assert (painted[~mask[0]] == 77).all()
    assert tuple(painted[2, 2]) == overlays.ORANGE, "the outline in full"
    assert tuple(painted[3, 3]) not in {(77, 77, 77), overlays.ORANGE}, "the inside translucent"


def test_the_cells_of_a_grid_stand_in_their_rows_and_columns(tmp_path: Path) -> None:
    shades = np.array([10, 90, 170], np.uint8)
    photographs = np.broadcast_to(shades[:, None, None, None], (3, 3, 8, 4))
    masks = np.ones((3, 1, 8, 4), np.bool_)
    style.save(images.outcome_grid(photographs, masks, {"a": ~masks}, list("xyz")), tmp_path / "a.png")
    pixels = np.asarray(Image.open(tmp_path / "a.png").convert("RGB"))
    size = 160  # pixels an inch: a cell is an inch, a gap a twentieth; 0.3 at the left and 0.25 at the top are titles
    for row, shade in enumerate(shades):
        expected = [(shade,) * 3, overlays.RIGHT, overlays.MISSED]
        y = round(size * (0.25 + 1.05 * row + 0.5))
        assert [tuple(pixels[y, round(size * (0.3 + 1.05 * column + 0.5))]) for column in range(3)] == expected
        assert tuple(pixels[y, round(size * (0.3 + 1.02))]) == (255, 255, 255), "the gap"


def test_what_is_unknown_is_hatched_where_nothing_else_is_to_be_seen() -> None:
    picture = np.full((8, 8, 3), 77, np.uint8)
    truth = np.zeros((2, 8, 8), np.uint8)
    truth[0, 2:6], truth[1, 4:] = 255, 1
    predicted = np.zeros((2, 8, 8), np.bool_)
    predicted[:, :, :4] = True
    painted = images.outcome_overlay(picture, truth, predicted)
    striped = (painted == images.STRIPE).all(axis=2)
    assert striped[2:4, 4:].mean() == 0.5, "every second diagonal"
    striped[2:4, 4:] = False
    assert not striped.any(), "of void pixels alone, and not where another class is false"
    assert tuple(painted[4, 0]) == overlays.RIGHT
    assert tuple(painted[0, 0]) == overlays.FALSE
    shown = images.class_overlay(picture, truth)
    assert (shown == images.STRIPE).all(axis=2)[2:4].mean() == 0.5
    legend = images.example_grid(picture.transpose(2, 0, 1)[None], truth[None], ["a", "b"], ["1"]).legends[0]
    assert [text.get_text() for text in legend.get_texts()] == ["b", "unknown"]


def test_the_confusion_matrix_shows_shares_of_the_true_classes() -> None:
    pixels = np.array([[6, 2, 0], [0, 1, 3], [0, 0, 0]])
    figure = results.confusion_matrix(pixels, ["sky", "road", "nowhere"])
    axes = figure.axes[0]
    np.testing.assert_array_equal(axes.images[0].get_array()[:2], [[0.75, 0.25, 0], [0, 0.25, 0.75]])
    assert np.isnan(np.ma.filled(axes.images[0].get_array()[2], np.nan)).all(), "of a class that is nowhere no share"
    assert [text.get_text() for text in axes.texts] == ["75", "25", "25", "75"]
    assert [label.get_text() for label in axes.get_yticklabels()] == ["sky", "road", "nowhere"]


def test_the_best_of_all_trials_is_the_best_and_of_one_the_mean() -> None:
    values = [0.2, 0.8, 0.5]
    # Of two of three: the best is 0.8 in two of the three pairs, 0.5 in the other.
    assert tuning.expected_best(values) == pytest.approx([0.5, (2 * 0.8 + 0.5) / 3, 0.8])
