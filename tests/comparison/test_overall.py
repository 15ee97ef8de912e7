"""What several verdicts say together."""

import pytest

from losslab.comparison import overall
from losslab.results.standings import Standing, Verdict

NAMES = tuple("pqrstuvwxyzabc")


def board(means: dict[str, list[float]]) -> list[Standing]:
    """Loss → its score on each of p, q, r, s."""
    return [
        Standing(name, "u", loss, "miou", "tuned", mean)
        for loss, values in means.items()
        for name, mean in zip(NAMES, values, strict=False)
    ]


def verdicts(*said: str) -> dict[str, Verdict]:
    """Of each data set `leader verdict`."""
    split = (text.split(" ", 1) for text in said)
    return {name: Verdict(name, "u", words, leader) for name, (leader, words) in zip(NAMES, split, strict=False)}


def test_two_data_sets_are_counted_and_no_more() -> None:
    text = overall.sentence(verdicts("a best", "b good enough"), board({"a": [0.9, 0.5], "b": [0.8, 0.5]}))
    assert text == "a is best on 1 of 2 (p); b is good enough on 1 of 2 (q)."


def test_from_three_on_the_model_says_how_likely_a_loss_is_best_on_others() -> None:
    said = verdicts("a best", "a best", "b best", "a undecided")
    steady = board({"a": [0.9, 0.7, 0.5, 0.8], "b": [0.8, 0.6, 0.41, 0.7], "c": [0.8, 0.59, 0.4, 0.71]})
    text = overall.sentence(said, steady)
    assert text.startswith("a is best on 2 of 4 (p and q); b is best on 1 of 4 (r); it is open on 1 of 4 (s).")
    assert text.endswith(" The chance that a is the best on average over others like these is over 90 %.")
    mixed = board({"a": [0.9, 0.6, 0.5, 0.8], "b": [0.8, 0.7, 0.6, 0.7]})
    chance = float(overall.sentence(said, mixed).rsplit(" is ", 1)[1].removesuffix(" %."))
    assert 30 < chance < 70


def test_a_loss_that_one_of_them_lacks_is_not_among_the_candidates() -> None:
    rows = board({"a": [0.9, 0.7, 0.5], "b": [0.8, 0.6, 0.41], "c": [0.99, 0.98]})
    assert " that a is the best " in overall.sentence(verdicts("a best", "a best", "a best"), rows)


DEMSAR = {
    "C4.5": "0.763 0.599 0.954 0.628 0.882 0.936 0.661 0.583 0.775 1.000 0.940 0.619 0.972 0.957",
    "C4.5+m": "0.768 0.591 0.971 0.661 0.888 0.931 0.668 0.583 0.838 1.000 0.962 0.666 0.981 0.978",
    "C4.5+cf": "0.771 0.590 0.968 0.654 0.886 0.916 0.609 0.563 0.866 1.000 0.965 0.614 0.975 0.946",
    "C4.5+m+cf": "0.798 0.569 0.967 0.657 0.898 0.931 0.685 0.625 0.875 1.000 0.962 0.669 0.9749 0.970",
}
"""Accuracies of four classifiers on 14 data sets: table 6 of Demšar (2006), where 0.9749 is printed as 0.975 and ranked
below 0.975."""


def test_ranks_and_critical_difference_are_those_of_the_published_example() -> None:
    rows = board({name: [float(value) for value in text.split()] for name, text in DEMSAR.items()})
    said = verdicts(*["C4.5 undecided"] * 14)
    ranks = overall.ranks(said, rows, 0.95)
    assert ranks is not None
    assert {name: round(rank, 3) for name, rank in ranks.means.items()} == {
        "C4.5+m+cf": 1.964, "C4.5+m": 2.0, "C4.5+cf": 2.893, "C4.5": 3.143,
    }  # fmt: skip
    assert list(ranks.means) == ["C4.5+m+cf", "C4.5+m", "C4.5+cf", "C4.5"]
    assert ranks.critical == pytest.approx(1.25, abs=0.005)  # Nemenyi at 5 %, as printed
    at_ten = overall.ranks(said, rows, 0.9)
    assert at_ten is not None
    assert at_ten.critical == pytest.approx(1.12, abs=0.005)  # and at 10 %
    assert ranks.sentence == (
        "By mean rank over 14, C4.5+m+cf comes first (2.0 of 4); none is worse by rank (critical difference 1.3)."
    )
    assert at_ten.sentence.count("worse by rank: C4.5 (") == 1


def test_five_data_sets_are_not_ranked() -> None:
    def ranks(number: int) -> overall.Ranks | None:
        rows = board({"a": [0.9] * number, "b": [0.8] * number})
        return overall.ranks(verdicts(*["a best"] * number), rows, 0.95)

    assert ranks(5) is None
    six = ranks(6)
    assert six is not None
    assert six.means == {"a": 1.0, "b": 2.0}
