"""Write docs/losses.md, docs/losses.png and docs/losses_published.png: `python docs/losses.py`."""

from pathlib import Path
from typing import Any

import matplotlib

matplotlib.use("Agg")
import matplotlib.pyplot as plt
import torch
from matplotlib.axes import Axes
from torch import Tensor

from losslab.losses import KINDS, Loss, build
from losslab.losses.catalogue import page
from losslab.losses.published.raw import RawOutput, label_values

HERE = Path(__file__).parent
SIZE, COLUMNS, STEPS = 64, 5, 61
SHARES = {0.02: ("#d95f02", 2.6), 0.10: ("#1b9e77", 1.7), 0.30: ("#7570b3", 0.9)}
"""Share of the image → colour and width of its line: the thinner are drawn last, so all are seen where they meet."""
NEEDED: dict[str, dict[str, Any]] = {
    "sum": {"terms": [{"loss": {"kind": "mse"}}, {"loss": {"kind": "dice"}}]},
    # The largest disk has a radius of 20.
    "cl_dice": {"iterations": 24},
    "skeleton_recall": {"iterations": 24},
}


def disk(share: float) -> Tensor:
    """`[1, 1, SIZE, SIZE]`: the pixels nearest to the centre, `share` of them."""
    axis = torch.arange(SIZE) - (SIZE - 1) / 2
    squared = (axis**2 + axis.unsqueeze(1) ** 2).flatten()
    target = torch.zeros(SIZE * SIZE)
    target[squared.argsort(stable=True)[: round(share * SIZE * SIZE)]] = 1
    return target.view(1, 1, SIZE, SIZE)


def walk(loss: Loss, target: Tensor) -> tuple[list[float], list[float]]:
    """Value and Σ|gradient| from background only (−1) through the truth (0) to foreground everywhere (1)."""
    values, slopes = [], []
    for s in torch.linspace(-1, 1, STEPS):
        p = torch.where(target > 0, (1 + s).clamp(max=1), s.clamp(min=0)).clamp(0.002, 0.998)
        outputs = p * label_values(loss.labels, p) if isinstance(loss, RawOutput) else p.logit()
        outputs.requires_grad_()
        value = loss(outputs, target)
        values.append(float(value.detach()))
        slopes.append(float(torch.autograd.grad(value, outputs)[0].abs().sum()))
    return values, slopes


def draw(kind: str, upper: Axes, lower: Axes) -> None:
    """The two panels of one kind."""
    loss = build(kind, **NEEDED.get(kind, {}))
    for share, (color, width) in SHARES.items():
        values, slopes = walk(loss, disk(share))
        steps = torch.linspace(-1, 1, STEPS)
        upper.plot(steps, values, color=color, lw=width, label=f"object of {share:.0%}")
        lower.semilogy(steps, [max(slope, 1e-12) for slope in slopes], color=color, lw=width)
    top = max(max(line.get_ydata()) for line in lower.lines)
    lower.set_ylim(top / 1e4, top * 2)
    upper.set_title(f"{kind} (mse + dice)" if kind == "sum" else kind, fontsize=11)
    upper.set_xticks([-1, 0, 1], [])
    lower.set_xticks([-1, 0, 1], ["nothing", "truth", "all"])
    for axes in (upper, lower):
        axes.axvline(0, color="0.8", zorder=0)
        axes.tick_params(labelsize=8.5)


def figure(kinds: list[str]) -> plt.Figure:
    """Two panels for each kind."""
    rows = -(-len(kinds) // COLUMNS)
    drawing, grid = plt.subplots(
        3 * rows - 1,
        COLUMNS,
        figsize=(2.3 * COLUMNS, 3.5 * rows),
        height_ratios=([1, 0.7, 0.25] * rows)[:-1],
        gridspec_kw={"hspace": 0.12, "wspace": 0.42, "top": 1 - 0.6 / (3.5 * rows)},
    )
    for axes in grid.flat:
        axes.set_visible(False)
    for i, kind in enumerate(kinds):
        upper, lower = (grid[3 * (i // COLUMNS) + part, i % COLUMNS] for part in (0, 1))
        upper.set_visible(True)
        lower.set_visible(True)
        draw(kind, upper, lower)
    grid[0, 0].set_ylabel("loss")
    grid[1, 0].set_ylabel("Σ|gradient|")
    drawing.legend(*grid[0, 0].get_legend_handles_labels(), loc="upper center", ncols=3, fontsize=11)
    return drawing


if __name__ == "__main__":
    (HERE / "losses.md").write_text(page(), encoding="utf-8")
    kinds = sorted(KINDS)
    published = [kind for kind in kinds if isinstance(build(kind, **NEEDED.get(kind, {})), RawOutput)]
    textbook = [kind for kind in kinds if kind not in published]
    for name, shown in {"losses": textbook, "losses_published": published}.items():
        figure(shown).savefig(HERE / f"{name}.png", dpi=100, bbox_inches="tight", metadata={"Software": None})
