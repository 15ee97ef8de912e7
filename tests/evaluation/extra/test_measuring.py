"""The extra metrics by their names."""

from typing import get_args

import numpy as np
import pytest
import torch

from losslab.errors import InputError
from losslab.evaluation.extra import KINDS
from losslab.evaluation.extra.measuring import measure
from losslab.evaluation.metrics import METRICS
from losslab.evaluation.scoring import of_masks
from losslab.results import scores
from losslab.settings.params import ExtraMetric


def test_settings_code_and_tables_have_the_same_metrics() -> None:
    assert set(get_args(ExtraMetric)) == KINDS.keys() == scores.EXTRAS.keys()


def test_as_many_columns_are_measured_as_the_table_has() -> None:
    probabilities = torch.rand(2, 3, 5, 6, generator=torch.Generator().manual_seed(0))
    measured = measure(KINDS, probabilities[None] >= 0.5, probabilities >= 0.4, probabilities)
    assert {name: values.shape for name, values in measured.items()} == {
        name: (1, 2, 3, len(columns)) for name, columns in scores.EXTRAS.items()
    }


@pytest.mark.parametrize("metric", KINDS)
def test_rules_measured_together_are_as_each_alone(metric: str) -> None:
    generator = torch.Generator().manual_seed(1)
    probabilities, target = torch.rand(2, 2, 3, 20, 21, generator=generator)
    target = (target > 0.7).to(torch.uint8).masked_fill(torch.rand(target.shape, generator=generator) < 0.05, 255)
    rules = torch.stack([probabilities >= 0.4, probabilities >= 0.8])
    together = measure([metric], rules, target, probabilities)[metric]
    alone = [measure([metric], rule[None], target, probabilities)[metric] for rule in rules]
    np.testing.assert_array_equal(together, np.concatenate(alone))
    np.testing.assert_array_equal(together, measure(KINDS, rules, target, probabilities)[metric], "beside others")
    assert (together[0] == together[1]).all() == (metric == "calibration"), "no threshold has a part in it"


def test_only_what_is_asked_for_is_measured() -> None:
    target = torch.zeros(1, 1, 4, 4)
    assert measure([], target[None] == 1, target) == {}
    plain = of_masks(target == 1, target)
    more = {"cl_dice": {"cl_dice"}, "components": {"component_recall", "component_precision"}}
    more |= {"betti": {"betti_0", "betti_1"}, "calibration": {"ece", "brier"}}
    for name, metrics in more.items():
        assert of_masks(target == 1, target, metrics=[name], probabilities=target).keys() - plain.keys() == metrics
    assert set.union(*more.values()) < METRICS.keys()


def test_an_unknown_metric_is_one_line() -> None:
    target = torch.zeros(1, 1, 4, 4)
    with pytest.raises(InputError, match=r"^no metric 'cldice'; did you mean 'cl_dice'\? known: cl_dice, comp.*$"):
        of_masks(target == 1, target, metrics=["cldice"])
