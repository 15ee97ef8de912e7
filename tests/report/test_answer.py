"""The answer says what the numbers bear."""

from dataclasses import replace
from pathlib import Path
from typing import Any

from report_world import results

from losslab.comparison.significance import seeds_needed
from losslab.report import evidence
from losslab.report.answer import answer
from losslab.results.standings import Standing


def test_the_answer_claims_what_the_verdict_bears(here: Path) -> None:
    shapes = evidence.read(results(here).params, "shapes", "unet")
    won = Standing(
        "shapes", "unet", "dice", "miou", "tuned", 0.75, 0.7, 0.8, 8, 12, 0.162, 0.131, 0.185, 0.008, 0.016, "better"
    )
    base = Standing("shapes", "unet", "bce", "miou", "tuned", 0.588, 0.55, 0.6, 8, 12, verdict="baseline")

    def said(**of_first: Any) -> str:
        return answer(replace(shapes, board=[replace(won, **of_first), base]), 0.95).sentence

    by = "16.2 mIoU points above the baseline bce (95 % interval +13.1 to +18.5)"
    assert said() == f"Train with dice: {by}."
    assert said(verdict="n too small", seeds=3) == (
        f"dice comes first, {by}; 3 seeds are too few to call that significant."
    )
    assert said(verdict="n too small", seeds=1).endswith("one seed is too few to call that significant.")
    assert said(verdict="no difference shown") == (f"No difference to the baseline is shown: dice comes first, {by}.")
    swapped = answer(replace(shapes, board=[base, replace(won, mean=0.5)]), 0.95)
    assert swapped.sentence == "No loss is better than the baseline bce; the next, dice, is 8.8 points below."
    unsure = answer(replace(shapes, board=[won, base], analysis={"best_probability": {"dice": 0.7}}), 0.95)
    assert "The probability that it is the best of the 2 is 70 %, so the order" in unsure.detail
    assert [seeds_needed(tests, 0.95) for tests in (1, 2, 5)] == [6, 7, 8], "2/2ⁿ · tests is at most 0.05"
