"""Values and gradients against MONAI, segmentation-models-pytorch, kornia, torchvision and torch."""

import pytest
import torch
from loss_cases import batch, kind_loss
from loss_oracles import ORACLES, Oracle
from projects import ROOT


@pytest.mark.parametrize("oracle", ORACLES, ids=lambda o: f"{o.kind}-{o.library}-{'-'.join(o.options)}")
@pytest.mark.filterwarnings("ignore")
def test_value_and_gradient_are_those_of_the_library(oracle: Oracle) -> None:
    loss, other = kind_loss(oracle.kind, **oracle.options), oracle.make()
    for seed in range(3):
        logits, target = batch(3, oracle.classes, size=8, seed=seed)
        logits = oracle.logits(2 * logits).requires_grad_()
        value, expected = loss(logits, target), other(logits, target)
        torch.testing.assert_close(value, expected.squeeze(), rtol=2e-5, atol=1e-6)
        gradient, expected_gradient = (torch.autograd.grad(v, logits)[0] for v in (value, expected))
        torch.testing.assert_close(gradient, expected_gradient, rtol=1e-3, atol=1e-6)


def test_the_readme_says_how_many_kinds_have_an_external_oracle() -> None:
    count = len({oracle.kind for oracle in ORACLES})
    assert count >= 14
    readme = " ".join((ROOT / "README.md").read_text(encoding="utf-8").split())
    assert f" {count} of the kinds are tested against another library's implementation" in readme
