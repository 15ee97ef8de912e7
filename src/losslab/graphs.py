"""A training step as one CUDA graph: the kernels of a small network run in less time than it takes to start them."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager

import torch
from torch import Tensor

from losslab import distributed
from losslab.errors import InputError

WARM_UP = 3
"""Steps before the capture: they choose algorithms and make what lasts, such as the optimiser's state."""

Step = Callable[[Tensor, Tensor], Tensor]
"""From the indices of a batch and its flips to the loss; it changes the network by the way."""


def possible(device: torch.device) -> bool:
    """Whether steps on this device, in this run, can be replayed."""
    return device.type == "cuda" and distributed.size() == 1


class Replayed:
    """A step that runs as it is at first, is then captured, and from there on replayed.

    Python runs no more in a replay, so whatever differs from step to step is a tensor that stays where it is: the
    batch is copied to one place, and the learning rate, to schedules a number, is a tensor while the step runs.

    Reference: Gray, "Getting started with CUDA graphs", NVIDIA 2019; PyTorch's notes on CUDA semantics.
    """

    def __init__(self, step: Step, optimizer: torch.optim.Optimizer, device: torch.device) -> None:
        self.step, self.optimizer = step, optimizer
        (self.group,) = optimizer.param_groups
        if "capturable" in self.group:
            self.group["capturable"] = True
        self.rate = torch.zeros((), device=device)
        self.inputs: tuple[Tensor, ...] = ()
        self.steps = 0
        self.graph: torch.cuda.CUDAGraph | None = None
        self.value = self.rate

    def __call__(self, batch: Tensor, flips: Tensor) -> Tensor:
        """The loss, in memory that the next step overwrites.

        Raises:
            InputError: the step does what a graph cannot hold, such as to wait for a result.
        """
        rate = self.group["lr"]
        self.rate.fill_(rate)
        self.group["lr"] = self.rate
        try:
            if self.steps < WARM_UP:
                with aside():
                    self.value = self.step(batch, flips)
            else:
                self._replay(batch, flips)
        finally:
            self.group["lr"] = rate
        self.steps += 1
        return self.value

    def _replay(self, *inputs: Tensor) -> None:
        if self.graph is None:
            self.inputs = tuple(each.clone() for each in inputs)
            self.graph = self._captured()
        for place, each in zip(self.inputs, inputs, strict=True):
            place.copy_(each)
        self.graph.replay()

    def _captured(self) -> torch.cuda.CUDAGraph:
        graph = torch.cuda.CUDAGraph()
        self.optimizer.zero_grad(set_to_none=True)  # the gradients, too, are to lie in the graph's memory
        try:
            with torch.cuda.graph(graph):
                self.value = self.step(*self.inputs)
        except torch.OutOfMemoryError:
            raise
        except RuntimeError as error:
            reason = str(error).split("\n", 1)[0]
            message = f"params.yaml: train.cuda_graphs: this step cannot be captured ({reason}); set it to false"
            raise InputError(message) from error
        return graph


@contextmanager
def aside() -> Iterator[None]:
    """On a stream of its own, as PyTorch asks of steps before a capture."""
    stream = torch.cuda.Stream()  # type: ignore[no-untyped-call]
    stream.wait_stream(torch.cuda.current_stream())
    with torch.cuda.stream(stream):
        yield
    torch.cuda.current_stream().wait_stream(stream)
