"""A training step as one CUDA graph: the kernels of a small network run in less time than it takes to start them."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import cache

import torch
from torch import Tensor

from losslab.errors import InputError
from losslab.training import processes

WARM_UP = 3
"""Steps before the capture: they choose algorithms and make what lasts, such as the optimiser's state."""

Step = Callable[[Tensor, Tensor, Tensor | None, Tensor, Tensor | None], Tensor]
"""From the images, masks, maps, flips and keys of a batch to the loss; it changes the network by the way."""


def possible(device: torch.device) -> bool:
    """Whether steps on this device, in this run, can be replayed."""
    return device.type == "cuda" and processes.size() == 1


class Replayed:
    """A step that runs as it is at first, is then captured, and from there on replayed.

    Python runs no more in a replay, so whatever differs from step to step is a tensor that stays where it is: the
    batch is copied to one place, and the learning rate, to schedules a number, is a tensor while the step runs.

    Reference: Gray, "Getting started with CUDA graphs", NVIDIA 2019; PyTorch's notes on CUDA semantics.
    """

    def __init__(self, step: Step, optimizer: torch.optim.Optimizer, device: torch.device) -> None:
        self.step = step
        (self.group,) = optimizer.param_groups
        if "capturable" in self.group:
            self.group["capturable"] = True
        self.rate = torch.zeros((), device=device)
        self.steps = 0
        self.graph: torch.cuda.CUDAGraph | None = None
        self.inputs: tuple[Tensor | None, ...]
        self.value: Tensor

    def __call__(self, *inputs: Tensor | None) -> Tensor:
        """The loss of a step's inputs, in memory that the next step overwrites.

        Raises:
            InputError: the step does what a graph cannot hold, such as to wait for a result.
        """
        rate = self.group["lr"]
        self.rate.fill_(rate)
        self.group["lr"] = self.rate
        try:
            if self.steps < WARM_UP:
                with aside():
                    self.value = self.step(*inputs)  # type: ignore[arg-type]
            else:
                self._replay(*inputs)
        finally:
            self.group["lr"] = rate
        self.steps += 1
        return self.value

    def _replay(self, *inputs: Tensor | None) -> None:
        if self.graph is None:
            self.inputs = tuple(None if each is None else each.clone() for each in inputs)
            self.graph, self.value = captured(lambda: self.step(*self.inputs))  # type: ignore[arg-type]
        for place, each in zip(self.inputs, inputs, strict=True):
            if place is not None and each is not None:
                place.copy_(each)
        self.graph.replay()


def captured(step: Callable[[], Tensor]) -> tuple[torch.cuda.CUDAGraph, Tensor]:
    """The graph of a step, and where its replays leave the loss.

    Raises:
        InputError: the step cannot be captured.
    """
    graph = torch.cuda.CUDAGraph()
    try:
        with torch.cuda.graph(graph, stream=side()):
            return graph, step()
    except RuntimeError as error:
        cause = error.__context__ or error  # to leave a failed capture raises, too, and says less
        if not isinstance(cause, RuntimeError) or isinstance(cause, torch.OutOfMemoryError):
            raise cause from None
        reason = str(cause).split("\n", 1)[0]
        message = f"params.yaml: train.cuda_graphs: this step cannot be captured ({reason}); set it to false"
        raise InputError(message) from cause


@cache
def side() -> torch.cuda.Stream:
    """The stream of steps before a capture, and of captures: each stream has memory of its own."""
    return torch.cuda.Stream()  # type: ignore[no-untyped-call]


@contextmanager
def aside() -> Iterator[None]:
    """Away from the usual stream, as PyTorch asks of steps before a capture."""
    side().wait_stream(torch.cuda.current_stream())
    with torch.cuda.stream(side()):
        yield
    torch.cuda.current_stream().wait_stream(side())
