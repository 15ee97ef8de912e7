"""A published loss's first iterations beside ours: `python benchmarks/replay.py RECIPE LOSS [--iterations N]`.

`python benchmarks/replay.py shapes_mse_dice_alpha mse_published --iterations 500` trains as the recipe says, on images
drawn from the whole training file (the recipe itself holds some back for validation), for at most an epoch, and prints
the mean training loss of every 500 iterations. It fetches the data, 11 MB, by itself.

`--hold` is for losses that leave some batches without a gradient, such as `report_a_mse_dice`: momentum then moves the
weights on, and with `--hold` they stay where they are, as with a loss written as a loop whose sum is never reached by
the network's outputs. `--perturb 1e-6` changes one weight a little, to see how far a mean is a matter of chance.
"""

import argparse
import dataclasses
import tempfile
import time
from collections.abc import Callable
from functools import partial
from pathlib import Path

import numpy as np
import torch
from torch import nn
from torch.optim.optimizer import register_optimizer_step_pre_hook

from losslab import data as datasets
from losslab import losses, networks
from losslab.data import tensors
from losslab.data.purdue_shapes import CLASSES, PurdueShapes, read_file
from losslab.inference import devices
from losslab.settings import params
from losslab.training.loop import Progress, train
from losslab.training.seeds import prepared

RECIPES = Path(__file__).resolve().parent.parent / "recipes"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.split("\n", 1)[0])  # type: ignore[union-attr]
    parser.add_argument("recipe")
    parser.add_argument("loss")
    parser.add_argument("--iterations", type=int, default=2500, choices=(500, 1000, 2500), help="2500 is an epoch")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--hold", action="store_true", help="a step without a gradient leaves the weights as they are")
    parser.add_argument("--perturb", type=float, default=0.0, help="the share by which one first weight is changed")
    arguments = parser.parse_args()

    recipe = params.load(path=RECIPES / f"{arguments.recipe}.yaml")
    settings = recipe.train.model_copy(update={"epochs": 1})
    device = devices.prepare(settings)
    split = drawn(
        datasets.registry.build(recipe.datasets["shapes"]), arguments.iterations * settings.batch_size, arguments.seed
    )
    data = prepared(split, split, settings, device)
    data = dataclasses.replace(data, val_images=data.images[:1], val_masks=data.masks[:1])
    spec = recipe.networks[recipe.grid.networks[0]]
    build = partial(networks.registry.build, spec, in_channels=3, classes=len(CLASSES))
    network = partial(perturbed, build, arguments.perturb)
    if arguments.hold:
        register_optimizer_step_pre_hook(hold)
    loss = losses.registry.build(recipe.losses[arguments.loss])
    progress, start = Progress(), time.monotonic()
    dtype = devices.compute_dtype(settings.precision, devices.cpu_precision(), device)
    train(network, loss, data, settings, arguments.seed, dtype, progress, lambda _: None, arguments.loss)

    if progress.diverged:
        print(f"{arguments.loss}, seed {arguments.seed}: not finite from iteration {progress.rows[-1].step} on")
        return
    windows = [row.value for row in progress.rows if (row.split, row.metric) == ("train", "loss")]
    means = np.reshape(windows, (arguments.iterations // 500, -1)).mean(1)
    print(
        f"{arguments.loss}, seed {arguments.seed}: mean training loss of every 500 iterations:",
        ", ".join(f"{mean:.4g}" for mean in means),
        f"({time.monotonic() - start:.0f} s on {devices.name_of(device)}, {settings.threads} thread, {dtype})",
    )


def hold(optimizer: torch.optim.Optimizer, *_: object) -> None:
    """Take the gradients away if all are 0: the optimiser passes over a weight that has none, momentum and all."""
    gradients = [weight.grad for group in optimizer.param_groups for weight in group["params"]]
    if not any(gradient.any() for gradient in gradients if gradient is not None):
        optimizer.zero_grad(set_to_none=True)


def perturbed(build: Callable[[], nn.Module], share: float) -> nn.Module:
    """The network with the first of its weights larger by `share`."""
    network = build()
    with torch.no_grad():
        next(network.parameters()).view(-1)[0] *= 1 + share
    return network


def drawn(dataset: datasets.Dataset, count: int, seed: int) -> tensors.Split:
    """`count` images of the training file, drawn by `seed`."""
    assert isinstance(dataset, PurdueShapes)
    with tempfile.TemporaryDirectory() as folder:
        dataset.fetch(Path(folder))
        images, masks = read_file(Path(folder, dataset.download.train_file))
    chosen = np.random.default_rng(seed).permutation(len(images))[:count]
    ids = tuple(map(str, chosen))
    return tensors.Split(images[chosen], masks[chosen], "PurdueShapes5MultiObject", CLASSES, ids, "train")


if __name__ == "__main__":
    main()
