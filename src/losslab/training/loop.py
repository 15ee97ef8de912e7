"""The training loop: one network, one loss, one seed.

Images are uint8 until a step needs them, on the device or streamed to it (`batches`). What is random in an epoch is
drawn from (seed, epoch), so every loss sees the same images in the same order with the same augmentation, and a run
resumes without random state.
"""

import copy
import math
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn
from tqdm import tqdm

from losslab.evaluation.pixel_counts import ArgmaxCounts, ThresholdCurve
from losslab.evaluation.planes import planes
from losslab.inference.forward import Normalisation, forward, predict_batches
from losslab.losses import Loss
from losslab.results.history import Row
from losslab.settings.params import SGD, AdamW, Train
from losslab.training import cuda_graphs, deep_supervision, fine_tuning, processes
from losslab.training.augmentation import Augmentation
from losslab.training.averaging import MovingAverage
from losslab.training.batches import Resident, Streamed

WINDOWS = 10
"""The training loss is recorded as the mean over this many windows of each epoch."""


@dataclass(frozen=True)
class Data:
    """Train and validation images `[N, 3, H, W]`, and masks `[N, C, H, W]` or labels `[N, H, W]`, uint8."""

    images: Tensor
    masks: Tensor
    val_images: Tensor
    val_masks: Tensor
    normalise: Normalisation
    device: torch.device
    """Where the network is; the training set too, unless it is streamed. Validation goes there batch by batch."""
    streamed: bool = False
    classes: int = 0
    """Of labels; masks have a plane for each."""
    void: bool = False
    """Whether anything is unknown."""


@dataclass
class Progress:
    """All that a run is after some epochs: enough to go on from, and at the end its result."""

    epoch: int = 0
    rows: list[Row] = field(default_factory=list)
    state: dict[str, Any] = field(default_factory=dict)
    """`network`, `optimizer`, `schedule` and, where weights are averaged, `average` after the last epoch."""
    kept: dict[str, Tensor] = field(default_factory=dict)
    """The weights to keep so far."""
    kept_miou: float = -1.0
    kept_loss: float = math.inf
    threshold: float = 0.5
    """The threshold with the highest validation mIoU for the kept weights."""
    diverged: bool = False


def train(
    build_network: Callable[[], nn.Module],
    loss: Loss,
    data: Data,
    settings: Train,
    seed: int,
    dtype: torch.dtype,
    progress: Progress,
    on_epoch: Callable[[Progress], None],
    label: str,
) -> None:
    """Bring `progress` from where it is to the last epoch, or to the step at which the loss is not finite.

    Args:
        build_network: gives the network, its weights drawn from torch's global generator.
        loss: what is minimised.
        data: images and masks.
        settings: the section `train` of params.yaml.
        seed: fixes initialisation, order and augmentation.
        dtype: what convolutions compute in.
        progress: a new one, or one restored from a checkpoint; changed in place.
        on_epoch: called after each epoch, with `progress` up to date.
        label: names the run in the progress bar.
    """
    torch.manual_seed(seed)
    device, count = data.device, len(data.images)
    loss = fitted(loss, data.masks, data.classes)
    augment = Augmentation(settings.augment)
    void = data.void or augment.leaves_void
    train_set: Resident | Streamed
    if data.streamed:
        train_set, val_maps = Streamed(data.images, data.masks, device, data.classes), None
    else:
        # Distances [N, C, H, W], for the losses that use them.
        maps = None if augment.moves else target_maps(loss, data.masks, data.classes)
        train_set = Resident(data.images, data.masks, maps, data.classes)
        val_maps = target_maps(loss, data.val_masks, data.classes)
    batch_size = min(settings.batch_size, count)
    steps = count // batch_size  # a last, smaller batch would upset batch normalisation

    share = processes.share(batch_size)
    network = build_network().to(device, memory_format=torch.channels_last)  # type: ignore[call-overload]
    average = MovingAverage(network) if settings.average == "ema" else None
    parallel = processes.parallel(network)
    objective = deep_supervision.of_heads(loss, network)
    optimizer = build_optimizer(network, settings)
    schedule = build_schedule(optimizer, settings, steps)
    if progress.epoch:
        network.load_state_dict(progress.state["network"])
        optimizer.load_state_dict(progress.state["optimizer"])
        schedule.load_state_dict(progress.state["schedule"])
        if average is not None:
            average.network.load_state_dict(progress.state["average"])

    def step(images: Tensor, masks: Tensor, maps: Tensor | None, mirror: Tensor, keys: Tensor | None) -> Tensor:
        images, masks, maps = augment(images, masks, maps, mirror, keys, share)
        logits = processes.gather(forward(parallel, images, data.normalise, dtype))  # [B, C, H, W]
        value = objective(logits, masks if void else masks.float(), maps)
        optimizer.zero_grad(set_to_none=True)
        value.backward()  # type: ignore[no-untyped-call]
        optimizer.step()
        return value.detach()

    run: cuda_graphs.Step = step
    if settings.cuda_graphs and not settings.freeze and cuda_graphs.possible(device):
        run = cuda_graphs.Replayed(step, optimizer, device)

    with tqdm(
        total=settings.epochs * steps * batch_size,
        initial=progress.epoch * steps * batch_size,
        desc=label,
        unit=" images",
        disable=None if processes.is_first() else True,
    ) as bar:
        while progress.epoch < settings.epochs and not progress.diverged:
            torch.manual_seed(epoch_seed(seed, progress.epoch))  # of what the network draws, such as dropout
            generator = torch.Generator().manual_seed(epoch_seed(seed, progress.epoch))
            order = torch.randperm(count, generator=generator)[: steps * batch_size].view(steps, batch_size)
            flips = torch.rand(2, steps, batch_size, 1, 1, 1, generator=generator) < 0.5
            flips = flips.to(device) & settings.augment.flips
            keys = augment.keys(seed, progress.epoch, count)
            keys = None if keys is None else keys[order].to(device)
            losses = torch.zeros(steps, device=device)
            network.train()
            if settings.freeze:
                fine_tuning.hold(network, progress.epoch < settings.freeze)
            for index, batch in enumerate(train_set.epoch(order, share)):
                value = run(*batch, flips[:, index], None if keys is None else keys[index])
                schedule.step()
                if average is not None:
                    average.update(progress.epoch * steps + index + 1)
                losses[index] = value
                bar.update(batch_size)
                if not bar.disable and index % 20 == 0:
                    bar.set_postfix(loss=f"{value.item():.4f}", refresh=False)

            progress.epoch += 1
            first = (progress.epoch - 1) * steps + 1
            progress.rows += training_rows(losses, seed, progress.epoch, first)
            bad = (~losses.isfinite()).nonzero()
            if len(bad):
                diverge(progress, seed, first + int(bad[0]))
            else:
                judged = network if average is None else average.network
                validate(judged, loss, data, val_maps, settings, seed, dtype, progress, progress.epoch * steps)
            progress.state = {
                "network": network.state_dict(),
                "optimizer": optimizer.state_dict(),
                "schedule": schedule.state_dict(),
            }
            if average is not None:
                progress.state["average"] = average.network.state_dict()
            on_epoch(progress)


def validate(
    network: nn.Module,
    loss: Loss,
    data: Data,
    val_maps: Tensor | None,
    settings: Train,
    seed: int,
    dtype: torch.dtype,
    progress: Progress,
    step: int,
) -> None:
    """Add the epoch's validation rows to `progress`, and keep the weights if they are to be kept."""
    exclusive = data.val_masks.ndim == 3
    classes = data.classes if exclusive else data.val_masks.shape[1]
    curve = (ArgmaxCounts if exclusive else ThresholdCurve)(classes, data.device)
    total = torch.zeros((), dtype=torch.float64, device=data.device)
    batches = predict_batches(
        network, loss, data.val_images, data.normalise, batch_size=settings.batch_size, dtype=dtype
    )
    for batch, logits, probabilities in batches:
        masks = planes(data.val_masks[batch].to(data.device), classes)
        maps = None if val_maps is None else val_maps[batch].to(data.device)
        total += loss(logits, masks if data.void else masks.float(), maps).double() * len(masks)
        curve.add(probabilities, masks)
    mean = float(total) / len(data.val_images)
    if not np.isfinite(mean):
        diverge(progress, seed, step)
        return
    values, threshold = {"loss": mean}, progress.threshold
    if isinstance(curve, ArgmaxCounts):
        miou = curve.miou()
        values |= {"miou_argmax": miou}
    else:
        threshold, miou = curve.best()
        values |= {"miou": curve.fixed(), "miou_tuned": miou, "threshold": threshold}
    progress.rows += [Row(seed, progress.epoch, step, "val", metric, value) for metric, value in values.items()]
    better = {"best": miou > progress.kept_miou, "last": True, "lowest_loss": mean < progress.kept_loss}
    if better[settings.keep]:
        progress.kept = copy.deepcopy(network.state_dict())
        progress.kept_miou, progress.kept_loss, progress.threshold = miou, mean, threshold


def fitted(loss: Loss, truth: Tensor, classes: int) -> Loss:
    """The loss with what it takes from all masks `[N, C, H, W]`, or from labels `[N, H, W]`: their planes could fill
    memory, and are made only if it takes anything."""
    if truth.ndim == 3 and loss.fitted(planes(truth[:1], classes)) == loss:
        return loss
    return loss.fitted(planes(truth, classes))


def target_maps(loss: Loss, truth: Tensor, classes: int) -> Tensor | None:
    """What a loss computes once of masks `[N, C, H, W]`, or of labels `[N, H, W]`, whose planes could fill memory."""
    if truth.ndim == 4:
        return loss.target_maps(truth)
    parts = [loss.target_maps(planes(part, classes)) for part in torch.split(truth, 64)]
    maps = [part for part in parts if part is not None]
    return torch.cat(maps) if maps else None


def diverge(progress: Progress, seed: int, step: int) -> None:
    """Record that the run is not finite from `step` on, which ends it without a model."""
    progress.diverged = True
    progress.kept = {}
    progress.rows.append(Row(seed, progress.epoch, step, "train", "diverged", 1))


def training_rows(losses: Tensor, seed: int, epoch: int, first: int) -> list[Row]:
    """Mean loss of each of `WINDOWS` windows of steps, at its last step, up to the first that is not finite."""
    rows, start = [], 0
    for window in losses.double().cpu().tensor_split(min(WINDOWS, len(losses))):
        start += len(window)
        if not window.isfinite().all():
            break
        rows.append(Row(seed, epoch, first + start - 1, "train", "loss", float(window.mean())))
    return rows


def build_optimizer(network: nn.Module, settings: Train) -> torch.optim.Optimizer:
    """The optimiser that params.yaml names, fused into one kernel."""
    parameters = fine_tuning.groups(network, settings)
    match settings.optimizer:
        case AdamW(lr=lr, weight_decay=decay):
            return torch.optim.AdamW(parameters, lr, weight_decay=decay, fused=True)
        case SGD(lr=lr, momentum=momentum, weight_decay=decay):
            return torch.optim.SGD(parameters, lr, momentum=momentum, weight_decay=decay, fused=True)


def build_schedule(
    optimizer: torch.optim.Optimizer, settings: Train, steps: int
) -> torch.optim.lr_scheduler.LRScheduler:
    """Learning rate per step: up and down once over the whole run (Smith and Topin, 2018), or constant."""
    if settings.schedule == "one_cycle":
        highest = [group["lr"] for group in optimizer.param_groups]
        return torch.optim.lr_scheduler.OneCycleLR(
            optimizer, highest, total_steps=settings.epochs * steps + 1, cycle_momentum=False
        )
    return torch.optim.lr_scheduler.ConstantLR(optimizer, factor=1.0)


def epoch_seed(seed: int, epoch: int) -> int:
    """A seed for what is random in one epoch of one run."""
    return int(np.random.SeedSequence([seed, epoch]).generate_state(1, np.uint64)[0] >> 1)
