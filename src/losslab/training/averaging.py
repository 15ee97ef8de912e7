"""An exponential moving average of a network's weights, which varies less from step to step than the weights."""

import copy

import torch
from torch import Tensor, nn

DECAY = 0.99
"""Of the average that is kept in a step: it reaches back over about 1/(1 − DECAY) steps."""


class MovingAverage:
    """A copy of a network whose weights are the average of the network's over its steps.

    The average starts short and grows to its full length, so that the first, random weights do not stay in it. The
    running statistics of batch normalisation are averaged like the weights, with which they belong; what is not a
    floating-point number, such as the count of batches, is copied.

    Reference: Polyak and Juditsky, "Acceleration of stochastic approximation by averaging", 1992; the growing length is
    that of TensorFlow's `ExponentialMovingAverage`.
    """

    def __init__(self, network: nn.Module) -> None:
        self.network = copy.deepcopy(network).requires_grad_(False)
        (self._averaged, self._copied), (self._current, self._counts) = _parted(self.network), _parted(network)

    @torch.no_grad()
    def update(self, step: int) -> None:
        """Take in the network as it is after `step` steps, counted from 1."""
        decay = min(DECAY, step / (step + 9))
        torch._foreach_lerp_(self._averaged, self._current, 1 - decay)
        if self._counts:
            torch._foreach_copy_(self._copied, self._counts)


def _parted(network: nn.Module) -> tuple[list[Tensor], list[Tensor]]:
    """Its floating-point numbers, and the others."""
    tensors = list(network.state_dict().values())
    return [t for t in tensors if t.is_floating_point()], [t for t in tensors if not t.is_floating_point()]
