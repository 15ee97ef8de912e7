"""One training run over several processes or machines: `train.processes`, or `torchrun -m pipeline.train …` by hand.

Every process holds all data and takes its share of each batch. The logits of all shares are gathered before the loss,
and batch normalisation pools over all shares: so the gradient is that of the whole batch in one process, for every
loss, those that pool over the batch among them.
"""

import os
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any, TypeVar

import torch
import torch.distributed as dist
from torch import Tensor, nn

from losslab.errors import InputError

T = TypeVar("T")


def launch(processes: int, module: str, arguments: Sequence[str]) -> None:
    """Become a launcher of that many processes of `module` on this machine, unless one is enough or they are there."""
    if processes == 1 or "WORLD_SIZE" in os.environ:
        return
    launcher = ["torch.distributed.run", "--rdzv-backend=c10d", "--rdzv-endpoint=127.0.0.1:0"]
    command = [sys.executable, "-m", *launcher, f"--nproc-per-node={processes}", "-m", module, *arguments]
    os.execv(sys.executable, command)


def size() -> int:
    """The number of processes that share this run."""
    return int(os.environ.get("WORLD_SIZE", 1))


def is_first() -> bool:
    """Whether this process writes what the run leaves."""
    return int(os.environ.get("RANK", 0)) == 0


@contextmanager
def together(device: torch.device) -> Iterator[torch.device]:
    """The processes of the run joined for the length of a block, if they are several; gives this process's device.

    A block within such a block, whose `device` is the outer one's, joins nothing anew.
    """
    if size() == 1 or dist.is_initialized():
        yield device
        return
    if device.type == "cuda":
        device = torch.device("cuda", int(os.environ["LOCAL_RANK"]))
        torch.cuda.set_device(device)
    dist.init_process_group("nccl" if device.type == "cuda" else "gloo")
    try:
        yield device
    finally:
        dist.destroy_process_group()


def from_first(value: T) -> T:
    """What the first process has: it alone needs the files that a run starts from."""
    if size() == 1:
        return value
    box: list[Any] = [value]
    dist.broadcast_object_list(box)
    received: T = box[0]
    return received


def share(batch_size: int) -> slice:
    """The part of each batch that is this process's.

    Raises:
        InputError: a batch cannot be divided evenly.
    """
    each, left = divmod(batch_size, size())
    if left:
        raise InputError(f"params.yaml: train.batch_size: {batch_size} images cannot be shared by {size()} processes")
    rank = int(os.environ.get("RANK", 0))
    return slice(rank * each, (rank + 1) * each)


def parallel(network: nn.Module) -> nn.Module:
    """The network with gradients averaged over processes; its batch normalisations are changed in place."""
    if size() == 1:
        return network
    for module in network.modules():
        if isinstance(module, nn.BatchNorm2d):
            module.__class__ = SharedBatchNorm  # parameters, buffers and their names stay
    # static_graph: some networks have parameters that never get a gradient.
    return nn.parallel.DistributedDataParallel(network, broadcast_buffers=False, static_graph=True)


def gather(logits: Tensor) -> Tensor:
    """`[B/P, C, H, W]` of each of P processes → `[B, C, H, W]` in all of them."""
    return _Gather.apply(logits) if size() > 1 else logits


class SharedBatchNorm(nn.BatchNorm2d):
    """Batch normalisation over the shares of all processes, on any device; torch's own needs a GPU."""

    def forward(self, x: Tensor) -> Tensor:
        if not self.training:
            return super().forward(x)
        wide = x.float()
        count = x.numel() // x.shape[1] * size()
        mean = _Sum.apply(wide.sum((0, 2, 3))) / count
        centred = wide - mean.view(1, -1, 1, 1)
        variance = _Sum.apply(centred.square().sum((0, 2, 3))) / count
        with torch.no_grad():
            assert self.running_mean is not None
            assert self.running_var is not None
            assert self.num_batches_tracked is not None
            assert self.momentum is not None
            self.num_batches_tracked += 1
            self.running_mean.lerp_(mean, self.momentum)
            self.running_var.lerp_(variance * count / (count - 1), self.momentum)
        scale = self.weight * (variance + self.eps).rsqrt()
        normalised: Tensor = centred * scale.view(1, -1, 1, 1) + self.bias.view(1, -1, 1, 1)
        return normalised.to(x.dtype)


class _Gather(torch.autograd.Function):
    @staticmethod
    def forward(context: Any, logits: Tensor) -> Tensor:
        parts = [torch.empty_like(logits, memory_format=torch.contiguous_format) for _ in range(size())]
        dist.all_gather(parts, logits.contiguous())
        return torch.cat(parts)

    @staticmethod
    def backward(context: Any, *gradients: Tensor) -> Tensor:
        # Each process has the gradient of the whole loss, of which this share is a part; averaging divides by size.
        own = gradients[0].chunk(size())[dist.get_rank()]
        return own * size()


class _Sum(torch.autograd.Function):
    @staticmethod
    def forward(context: Any, values: Tensor) -> Tensor:
        total = values.clone()
        dist.all_reduce(total)
        return total

    @staticmethod
    def backward(context: Any, *gradients: Tensor) -> Tensor:
        total = gradients[0].clone()
        dist.all_reduce(total)
        return total
