"""Every registered kind works under `torch.compile`. All but one take their time in `make test-slow`."""

import pytest
import torch
from loss_cases import batch, kind_loss, value_and_gradient

from losslab.losses import KINDS

QUICK = "exponential_log"
"""It has most of what a compiler may stumble over: weights from the batch, a power with a bound, a sum of two terms."""


@pytest.mark.parametrize("kind", [pytest.param(k, marks=[] if k == QUICK else pytest.mark.slow) for k in KINDS])
def test_it_compiles_to_one_graph(kind: str) -> None:
    torch.compiler.reset()
    loss, (logits, target) = kind_loss(kind), batch()
    compiled = torch.compile(lambda z, t: loss(z, t), backend="aot_eager", fullgraph=True)
    value, gradient = value_and_gradient(loss, logits, target)
    again, compiled_gradient = value_and_gradient(compiled, logits, target)
    torch.testing.assert_close(again, value)
    torch.testing.assert_close(compiled_gradient, gradient)
