"""Images a second in training: this project's loop and the peer's, each with its own loader, loop and precision.

mUNet with the squared error of stored label values and batches of 4 is the peer's own experiment, which
`recipes/shapes_mse_dice_alpha.yaml` replays; here both have all processors. The network of params.yaml goes through the
peer's loop too, with all processors, and through ours at our settings: one process alone, and one for each processor
at once, which is how `make` trains.
"""

import contextlib
import multiprocessing
import tempfile
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ProcessPoolExecutor
from functools import cache, partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import peer
import torch
from timing import PROCESSORS, ROOT, Figure, Goal, figure, in_turns
from torch import nn

from losslab import losses, networks
from losslab.data import tensors
from losslab.data.purdue_shapes import CLASSES, read_file
from losslab.data.tensors import Split
from losslab.inference import devices
from losslab.settings import params
from losslab.settings.params import Params
from losslab.training.loop import Progress, train
from losslab.training.seeds import prepared

if TYPE_CHECKING:
    from speed import Options

LOSS = "ce_dice"
"""Of the default run: its first in the leaderboard, and one of its two slowest."""


class Counted:
    """The peer's loader, ended after so many batches; `seconds` is what all but the first took, loading included."""

    def __init__(self, loader: Any, batches: int) -> None:
        self.loader, self.batches, self.seconds = loader, batches, 0.0

    def __iter__(self) -> Iterator[Any]:
        start = 0.0
        for index, batch in zip(range(self.batches + 1), self.loader, strict=False):
            yield batch
            start = start if index else time.perf_counter()
        self.seconds = time.perf_counter() - start


def peers(segmenter: Any, network: nn.Module, steps: int) -> float:
    """Images a second of the peer's loop."""
    torch.set_num_threads(PROCESSORS)
    torch.set_deterministic_debug_mode("default")
    loader = segmenter.train_dataloader
    segmenter.train_dataloader = counted = Counted(loader, steps)
    with peer.QUIET, tempfile.TemporaryDirectory() as work, contextlib.chdir(work):  # it leaves files
        segmenter.run_code_for_training_for_semantic_segmentation(network)
    segmenter.train_dataloader = loader
    return steps * loader.batch_size / counted.seconds


def ours(settings: Params, loss: str, steps: int, wait: Callable[[], object] = lambda: None) -> float:
    """Images a second of our loop in its second epoch, and what follows the steps: validation, of one image."""
    options = settings.train.model_copy(update={"epochs": 2})
    device = devices.prepare(options)
    images = steps * options.batch_size
    data = prepared(split(images), split(1), options, device)
    moments = []

    def on_epoch(progress: Progress) -> None:
        moments.append(time.perf_counter())
        if progress.epoch == 1:
            wait()
            moments[0] = time.perf_counter()

    network = partial(networks.registry.build, network_of(settings), in_channels=3, classes=len(CLASSES))
    function = losses.registry.build(settings.losses[loss])
    dtype = devices.compute_dtype(options.precision, devices.cpu_precision(), device)
    train(network, function, data, options, 0, dtype, Progress(), on_epoch, loss)
    return images / (moments[1] - moments[0])


def network_of(settings: Params) -> dict[str, Any]:
    """Kind and options of the first network of the grid."""
    return settings.networks[settings.grid.networks[0]]


@cache
def split(count: int) -> Split:
    """The first images of the test set, again from the start where it has too few, mapped from a file."""
    images, masks = read_file(peer.TEST)
    with tempfile.TemporaryDirectory() as work:
        path = Path(work, "train.safetensors")
        with tensors.Writer(path, dataset="shapes", classes=CLASSES, source="") as writer:
            for index in np.arange(count) % len(images):
                writer.append(str(index), images[index], masks[index])
        return tensors.read(path)


class SideBySide:
    """A process for each processor, whose runs are timed together."""

    def __init__(self) -> None:
        spawn = multiprocessing.get_context("spawn")
        self.pool = ProcessPoolExecutor(PROCESSORS, spawn, _meet, (spawn.Barrier(PROCESSORS),))

    def __call__(self, settings: Params, steps: int) -> float:
        """Images a second of all together."""
        runs = [self.pool.submit(_run, settings, steps) for _ in range(PROCESSORS)]
        return sum(run.result() for run in runs)


_barrier: Any = None


def _meet(barrier: Any) -> None:
    global _barrier
    _barrier = barrier


def _run(settings: Params, steps: int) -> float:
    return ours(settings, LOSS, steps, _barrier.wait)


def figures(options: "Options") -> list[Figure]:
    studio = peer.dlstudio()
    default = params.load()
    recipe = params.load(path=ROOT / "recipes/shapes_mse_dice_alpha.yaml")
    both = recipe.train.model_copy(update={"precision": "auto", "threads": PROCESSORS})
    recipe = recipe.model_copy(update={"train": both})

    segmenter = peer.segmenter(studio, both.batch_size)
    munet = studio.SemanticSegmentation.mUNet(skip_connections=True, depth=16)
    theirs, own = in_turns(
        options.rounds,
        lambda: peers(segmenter, munet, 30),
        lambda: ours(recipe, "mse_published", 30),
    )
    what = f"training, mUNet, batches of {both.batch_size}, {PROCESSORS} threads"
    found = [
        figure(
            what,
            "images/s",
            own,
            "DLStudio",
            theirs,
            Goal("ratio", "≥", 2 if devices.cpu_precision() == "bfloat16" else 1.4),
        )
    ]

    size, alongside = default.train.batch_size, SideBySide()
    segmenter = peer.segmenter(studio, size)
    unet = networks.registry.build(network_of(default), in_channels=3, classes=len(CLASSES))
    theirs, one, all_at_once = in_turns(
        options.rounds,
        lambda: peers(segmenter, unet, 60),
        lambda: ours(default, LOSS, 60),
        lambda: alongside(default, 60),
    )
    what, baseline = f"training, U-Net of params.yaml, batches of {size}", f"DLStudio's loop, {PROCESSORS} threads"
    one_process = f"{what}, one process of {default.train.threads} thread"
    found.append(figure(one_process, "images/s", one, baseline, theirs))
    found.append(
        figure(f"{what}, {PROCESSORS} such processes at once", "images/s", all_at_once, baseline, theirs,
               Goal("ours", "≥", 700))
    )  # fmt: skip

    chosen = devices.cpu_precision()
    other = "float32" if chosen == "bfloat16" else "bfloat16"
    streamed = default.model_copy(update={"train": default.train.model_copy(update={"device_gb": 1e-9})})
    own, slower, read_ahead = in_turns(
        options.rounds,
        lambda: ours(in_precision(default, "auto"), LOSS, 120),
        lambda: ours(in_precision(default, other), LOSS, 120),
        lambda: ours(streamed, LOSS, 120),
    )
    return [
        *found,
        figure(
            f"the same, precision auto, which is {chosen} here", "images/s", own, other, slower, Goal("ratio", "≥", 1)
        ),
        figure(
            "the same, read ahead from the file", "images/s", read_ahead, "on the device", own, Goal("ratio", "≥", 0.95)
        ),
    ]


def in_precision(settings: Params, precision: str) -> Params:
    """The settings with another `train.precision`."""
    return settings.model_copy(update={"train": settings.train.model_copy(update={"precision": precision})})
