from dataclasses import dataclass

import torch
from torch import Tensor

from losslab.losses.loss import VOID, Activated
from losslab.losses.shared.overlap import TINY
from losslab.losses.structure.components import components
from losslab.settings.schema import NonNegative


@dataclass(frozen=True, kw_only=True)
class BlobDice(Activated):
    """Dice of each connected component by itself, so that a small object counts as much as a large one.

    L = mean over images and planes with an object of the mean over their components k of 1 − (2·Σ_k p +
    s)/(Σ_k p + Σ_b p + n_k + s), Σ_k over the component's n_k pixels, Σ_b over the plane's background: the
    other components are left out, not taken for background. p = activation(logit), s = `smooth`.

    Shapes: logits and target `[N, C, H, W]` → scalar in [0, 1].

    Convention: activation inside; pixels that touch, by a corner too, are one component, found once per data
    set, or where augmentation moves masks in every step, by the processor. An empty mask costs 0 and has no
    gradient, whatever is predicted; false alarms count against every component of their plane.

    Helps: many objects of different size, of which the small ones must not be missed: lesions, cells, ships.
    In a `sum` with a region loss (the paper: twice that, once this), since alone it allows false alarms on
    empty masks.

    Reference: Kofler et al., "blob loss: instance imbalance aware loss functions for semantic segmentation",
    IPMI 2023.
    """

    smooth: NonNegative = 1.0

    def value(self, logits: Tensor, target: Tensor, known: Tensor | None = None, maps: Tensor | None = None) -> Tensor:
        if maps is None:
            maps = components(target if known is None else target.masked_fill(known == 0, VOID))
        p, _ = self.prediction(logits, target, known)
        # A place for each possible component of a plane, by the place of its first pixel; 0 is background.
        places = maps.flatten(0, 1).flatten(1).long()  # [N·C, P]
        p = p.flatten(0, 1).flatten(1)
        empty = p.new_zeros(p.shape[0], 1 + p.shape[1])
        sizes = empty.scatter_add(1, places, torch.ones_like(p))[:, 1:]
        sums = empty.scatter_add(1, places, p)
        false, sums = sums[:, :1], sums[:, 1:]
        missed = (sizes - sums + false) / (sums + false + sizes + self.smooth).clamp_min(TINY)
        is_component = (sizes > 0).to(p.dtype)
        counts = is_component.sum(1)
        values = (missed * is_component).sum(1) / counts.clamp_min(1)
        return values.sum() / (counts > 0).sum().clamp_min(1)

    def target_maps(self, masks: Tensor) -> Tensor | None:
        """Components of the masks, float32 `[N, C, H, W]`."""
        labels: Tensor = components(masks.masked_fill(self.void(masks), VOID) if masks.dtype == torch.uint8 else masks)
        return labels
