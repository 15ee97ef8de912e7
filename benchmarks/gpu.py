"""Training on a GPU: replayed steps beside steps started kernel by kernel, and large batches beside the peak."""

from typing import TYPE_CHECKING

import peer
import torch
from timing import ROOT, Figure, Goal, Skipped, figure, in_turns, seconds
from torch import nn
from torch.utils.flop_counter import FlopCounterMode
from training_step import network_of, ours

from losslab import networks
from losslab.data.purdue_shapes import CLASSES
from losslab.settings import params
from losslab.settings.params import Params

if TYPE_CHECKING:
    from speed import Options


def figures(options: "Options") -> list[Figure]:
    if not torch.cuda.is_available():
        raise Skipped("it needs a GPU")
    if not peer.TEST.is_file():
        raise Skipped("data/raw/shapes is empty; run `dvc repro extract`")
    return measured(options.rounds, steps=500, batch=256, side=8192)


def measured(rounds: int, steps: int, batch: int, side: int) -> list[Figure]:
    """mUNet at the published batch of 4, for `steps` steps, and at `batch`; `side` is of the peak's matrices."""
    recipe = params.load(path=ROOT / "recipes/shapes_mse_dice_alpha.yaml")
    graphs = with_options(recipe, cuda_graphs=True)
    replayed, started = in_turns(
        rounds, lambda: ours(graphs, "mse_published", steps), lambda: ours(recipe, "mse_published", steps)
    )
    what = f"training, mUNet, batches of {recipe.train.batch_size}, float32, CUDA graphs"
    found = [figure(what, "images/s", replayed, "without", started, Goal("ours", "≥", 1500))]

    large = with_options(recipe, cuda_graphs=True, batch_size=batch, precision="bfloat16")
    work = operations(networks.registry.build(network_of(recipe), in_channels=3, classes=len(CLASSES))) / 1e12
    own, peak = in_turns(
        rounds, lambda: ours(large, "mse_published", max(steps // 10, 4)) * work, lambda: product(side)
    )
    what = f"the same, batches of {batch}, bfloat16"
    return [*found, figure(what, "TFLOP/s", own, "matrix product, bfloat16", peak, Goal("ratio", "≥", 0.35))]


def with_options(settings: Params, **options: object) -> Params:
    return settings.model_copy(update={"train": settings.train.model_copy(update=options)})


def operations(network: nn.Module) -> int:
    """Additions and multiplications of one image's forward and backward pass."""
    with FlopCounterMode(display=False) as counter:
        network(torch.zeros(1, 3, 64, 64)).sum().backward()
    return counter.get_total_flops()


def product(side: int) -> float:
    """TFLOP/s of products of square matrices."""
    device = "cuda" if torch.cuda.is_available() else "cpu"
    a, b = (torch.randn(side, side, device=device, dtype=torch.bfloat16) for _ in range(2))

    def multiply(times: int) -> None:
        for _ in range(times):
            a @ b
        if a.is_cuda:
            torch.cuda.synchronize()

    multiply(3)
    times = 20
    return times * 2 * side**3 / seconds(lambda: multiply(times)) / 1e12
