"""One rule: who is best, good enough, still open, worse, or out."""

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from scored_losses import LOSSES, compare, decided, simulated, write
from simulated_runs import SETTINGS, Simulation, comparison, with_seeds

from losslab.comparison import headline, leaderboard, verdict
from losslab.comparison.loss_results import Comparison
from losslab.comparison.resampling import Resampler
from losslab.results.standings import Verdict

CASE = Simulation(images=60, own_seed=0.003, noise=0.01)


def compared(case: Simulation, trial: int = 0, names: Sequence[str] = "abcdef") -> Comparison:
    """What the losses a, b, … scored."""
    made = comparison(case.counts(np.random.default_rng([trial, 5])), Resampler(case.images, 200, 0))
    made.losses = dict(zip(names, made.losses.values(), strict=False))
    return made


def said(made: Comparison, **settings: Any) -> Verdict:
    """The verdict with its words."""
    chosen = SETTINGS.model_copy(update={"baseline": "a", **settings})
    result = verdict.decide(made, chosen)
    headline.write(result, leaderboard.compute(made, result, chosen), [], chosen)
    return result


def lose(made: Comparison, loss: str, seeds: Sequence[int]) -> None:
    """Let some seeds of a loss diverge."""
    result = made.losses[loss]
    kept = [seed for seed in result.trained if seed not in seeds]
    counts = {
        rule: table[[result.trained.index(seed) for seed in kept]] for rule, table in result.scores.counts.items()
    }
    values = {key: result.of(*key, kept) for key in result.values} if kept else {}
    made.losses[loss] = replace(result, values=values, scores=replace(result.scores, seeds=tuple(kept), counts=counts))


def test_a_loss_that_all_others_are_worse_than_is_best() -> None:
    result = said(compared(replace(CASE, effects=(0.0, 0.08, 0.03))))
    assert (result.verdict, result.leader, result.contenders) == ("best", "b", ["b"])
    assert result.worse == {"a": ["b", "c"], "c": ["b"]}
    assert result.headline.startswith("Train with b: it is the best of these losses, ")
    assert result.headline.endswith("mIoU points above c. Clearly worse: a and c.")
    assert "It beat a and c in 8 of 8 seeds." in result.detail
    assert all(pair.walk for pair in result.against.values())


def test_the_runner_up_is_tested_whatever_the_baseline() -> None:
    """The audit: a loss that is far better than the baseline, and no better than the next, was called the winner."""
    made = compared(replace(CASE, own_seed=0.02, effects=(0.0, 0.2, 0.2)))
    for baseline in ("a", "b", "c"):
        result = said(made, baseline=baseline, margin=0.0)
        assert (result.verdict, set(result.contenders)) == ("undecided", {"b", "c"})
        assert result.headline.startswith(f"It is open between {result.leader} and ")
        assert result.headline.endswith(" Clearly worse: a.")


def test_a_choice_that_costs_little_is_good_enough() -> None:
    made = compared(replace(CASE, own_seed=0.01, effects=(0.0, 0.001)))
    result = said(made)
    assert result.verdict == "good enough"
    assert 0 < (result.regret or 0) <= 1
    assert result.headline.startswith(f"Train with {result.leader}, which is good enough: ")
    strict = said(made, margin=result.regret / 200)
    assert (strict.verdict, strict.leader) == ("undecided", result.leader)


def test_who_may_be_better_than_the_leader_is_named() -> None:
    def sentences(*effects: float, trial: int) -> tuple[Verdict, str]:
        result = said(compared(replace(CASE, own_seed=0.008, effects=effects, seeds=3), trial))
        assert result.verdict == "good enough"
        return result, result.headline.split(": ")[1]

    one, words = sentences(0.0, 0.001, trial=0)
    assert words == "a may be better (a chance of 28 %), but choosing b is expected to cost about 0.2 mIoU points."
    assert one.chances == {"a": pytest.approx(0.28, abs=0.006), "b": pytest.approx(0.72, abs=0.006)}
    assert "It is 0.6 points ahead of a, which comes next, and beat it in 2 of 3 seeds." in one.detail
    some, words = sentences(0.0, 0.01, 0.008, 0.0, -0.02, -0.02, trial=0)
    assert words.startswith("b or c may be better, ")
    assert {loss for loss, chance in some.chances.items() if chance > 0.1} == {"b", "c", "d"}
    none, words = sentences(0.0, 0.03, 0.0, 0.0, 0.0, 0.0, trial=3)
    assert words.startswith("any of 5 others may be better, but choosing b is expected to cost less than 0.1 ")
    assert len(none.contenders) == 6


def test_a_loss_that_costs_next_to_nothing_to_pass_over_waits() -> None:
    """It is not worse for good, and its seeds would not change which loss to pick."""
    case = replace(CASE, own_seed=(0.002, 0.002, 0.04), effects=(0.0, 0.002, -0.15), seeds=8)
    whole = compared(case)
    few = with_seeds(whole, dict.fromkeys("abc", 3))
    result = said(few, margin=0.0005)
    assert result.headline.startswith("It is open between b and a (b is ")
    assert " Safe to leave out: c" in result.headline
    chosen = SETTINGS.model_copy(update={"baseline": "a"})
    headline.write(result, leaderboard.compute(few, result, chosen), ["c"], chosen)
    assert result.headline.endswith(" Not trained long enough: c."), "nothing is safe to say of it"
    assert (result.verdict, set(result.contenders), result.waiting) == ("undecided", set("abc"), ["c"])
    seeds = {"a": 3, "b": 3, "c": 3}
    assert set(verdict.next_to_train(result, seeds, 16)) == {"a", "b"}
    assert verdict.next_to_train(result, seeds, 3) == []
    assert set(verdict.next_to_train(result, {"a": 5, "b": 5, "c": 3}, 6)) == {"a", "b"}
    assert verdict.next_to_train(result, {"a": 6, "b": 5, "c": 3}, 6) == ["b"]
    assert verdict.next_to_train(result, {"a": 6, "b": 6, "c": 3}, 6) == ["c"], "all that is left"
    # The others' seeds count though c has fewer.
    later = verdict.decide(with_seeds(whole, {"a": 8, "b": 8, "c": 3}), SETTINGS)
    assert later.leader == "b"
    b, a = (whole.losses[loss].values["miou", "tuned"][0].mean() for loss in "ba")
    assert later.against["a"].points == pytest.approx(100 * (b - a), abs=1e-3)
    assert later.against["c"].won == 3


def test_where_it_is_open_not_every_rival_waits() -> None:
    case = replace(CASE, own_seed=0.003, effects=(0.004, *[0.0] * 5), seeds=4)
    words, waited = set(), 0
    for trial in range(20):
        result = said(compared(case, trial), margin=0.001)
        words.add(result.verdict)
        waited += len(result.waiting)
        if result.verdict == "undecided":
            assert result.leader not in result.waiting
            assert len(verdict.next_to_train(result, dict.fromkeys("abcdef", 4), 16)) > 1, "the leader and a rival"
        else:
            assert result.waiting == []
    assert words == {"undecided", "good enough"}
    assert waited


def test_means_are_those_of_the_same_seeds() -> None:
    same = verdict.adjusted_means({"a": {0: 0.5, 1: 0.7}, "b": {0: 0.4, 1: 0.9}})
    assert same["b"] - same["a"] == pytest.approx(0.05)
    some = verdict.adjusted_means({"a": {0: 0.5, 1: 0.9}, "b": {0: 0.6}, "c": {1: 0.95}})
    assert [some[loss] - some["a"] for loss in "bc"] == pytest.approx([0.1, 0.05]), "seed 1 is easier"
    tie = verdict.adjusted_means({loss: {0: 0.1, 1: 0.2, 2: 0.3} for loss in "abc"})
    assert len(set(tie.values())) == 1


def test_two_seeds_are_open_with_a_forecast_that_comes_true() -> None:
    case = replace(CASE, own_seed=0.02, effects=(0.0, 0.05))
    first = said(compared(replace(case, seeds=2)), margin=0.0)
    assert (first.verdict, first.forecast_seeds is not None) == ("undecided", True)
    needed, reached = [], []
    for trial in range(10):
        now = said(compared(replace(case, seeds=4), trial), margin=0.0)
        needed.append(now.forecast_seeds or 4)
        looks = [said(compared(replace(case, seeds=s), trial), margin=0.0).verdict == "best" for s in range(4, 17)]
        reached.append(4 + looks.index(True) if any(looks) else 17)
    assert abs(np.median(needed) - np.median(reached)) <= 3


def test_a_loss_with_one_seed_is_not_said_to_want_images() -> None:
    result = said(with_seeds(compared(replace(CASE, effects=(0.0, 0.002))), {"a": 8, "b": 1}))
    assert (result.verdict, result.waiting) == ("undecided", [])
    assert "One seed cannot settle it" in result.headline
    assert verdict.next_to_train(result, {"a": 8, "b": 1}, 16) == ["b"]


def test_what_seeds_cannot_settle_is_said_to_want_images() -> None:
    made = compared(replace(CASE, images=15, seeds=8, own_seed=0.0005, effects=(0.0, 0.01), loss_image=0.2))
    result = said(made, margin=0.0)
    assert (result.verdict, result.forecast_seeds) == ("undecided", None)
    assert "more test images may" in result.headline


def test_a_loss_with_a_diverged_run_cannot_be_best_and_hides_nothing() -> None:
    made = compared(replace(CASE, effects=(0.0, 0.08, 0.16), seeds=3))
    lose(made, "c", [1])
    result = said(made)
    assert (result.leader, "c" in result.contenders) == ("b", False)
    assert result.unreliable == {"c": "diverged in 1 of 3 runs"}
    assert result.headline.endswith(" Clearly worse: a; diverged: c.")
    board = leaderboard.compute(made, result, SETTINGS.model_copy(update={"baseline": "a"}))
    words = [(row.loss, row.verdict) for row in board if row.decisive]
    assert words[0][0] == "b"
    assert words[-1] == ("c", "unreliable"), "its survivors would be first"


def test_losses_that_diverge_on_different_seeds_leave_the_rest_their_chances() -> None:
    made = compared(replace(CASE, effects=(0.0, 0.05, 0.02, 0.0), seeds=3))
    lose(made, "c", [0, 1])
    lose(made, "d", [2])
    result = said(made)
    assert set(result.chances) == {"a", "b"}
    assert sum(result.chances.values()) == pytest.approx(1)


def test_without_a_loss_that_always_trained_none_is_chosen() -> None:
    made = compared(replace(CASE, effects=(0.0, 0.05), seeds=3))
    lose(made, "a", [0])
    lose(made, "b", [1])
    result = said(made)
    assert (result.verdict, result.leader) == ("undecided", None)
    assert result.headline.startswith("No loss can be chosen: each of them diverged in a run")
    for loss in "ab":
        lose(made, loss, [0, 1, 2])
    assert said(made).headline == "Every run diverged: there is nothing to compare. Diverged: a and b."


def test_one_loss_is_no_winner() -> None:
    result = said(compared(replace(CASE, effects=(0.0,))))
    assert result.headline.startswith("a is the only loss of the grid, with test mIoU 0.")


def test_a_decided_pair_stays_decided_when_seeds_are_added() -> None:
    case = replace(CASE, seeds=16, own_seed=0.02, effects=(0.0, 0.04))
    for trial in range(5):
        whole = compared(case, trial)
        parts = [with_seeds(whole, dict.fromkeys("ab", seeds)) for seeds in range(2, 17)]
        worse = ["a" in verdict.decide(part, SETTINGS).worse for part in parts]
        assert worse == sorted(worse)


def test_losses_with_more_seeds_are_compared_over_the_common_ones() -> None:
    made = compared(replace(CASE, effects=(0.0, 0.08)))
    lose(made, "a", range(3, 8))
    made.losses["a"] = replace(made.losses["a"], trained=(0, 1, 2))
    result = said(made)
    assert (result.verdict, result.against["a"].won) == ("best", 3)


@pytest.mark.usefixtures("scored")
def test_the_verdict_is_written_with_its_words() -> None:
    compare()
    result = decided()
    assert (result.dataset, result.network, result.leader, result.verdict) == ("shapes", "unet", "dice", "best")
    assert result.headline.startswith("Train with dice: it is the best of these losses, ")
    write("dice", simulated("dice", (0, 2)))
    compare()
    assert decided().leader == "mse_dice"
    assert decided().unreliable == {"dice": "diverged in 1 of 3 runs"}
    assert set(decided().worse) <= set(LOSSES)
