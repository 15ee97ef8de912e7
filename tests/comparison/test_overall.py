"""What several verdicts say together."""

from losslab.comparison import overall
from losslab.results.standings import Standing, Verdict

NAMES = ("p", "q", "r", "s")


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
