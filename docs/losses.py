"""Write docs/losses.md, docs/losses.png and docs/losses_published.png: `python docs/losses.py`.

With `--time` the cost of a step is measured anew; without, the page keeps what it says of it.
"""

import platform
import re
import statistics
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import matplotlib

matplotlib.use("Agg")
import matplotlib.pyplot as plt
import torch
from matplotlib.axes import Axes
from torch import Tensor

from losslab.losses import KINDS, Loss, build
from losslab.losses.catalogue import cost_of, page
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


def measured_cost() -> str:
    """The section on the cost of a step: forward and backward of each kind beside `bce`, which takes turns with it."""
    torch.set_num_threads(1)
    generator = torch.Generator().manual_seed(0)
    logits = torch.randn(8, 5, 64, 64, generator=generator)
    # Blobs: of noise few pixels touch.
    noise = torch.nn.functional.avg_pool2d(torch.randn(8, 5, 72, 72, generator=generator), 9, 1)
    target = (noise > 0.12).float()
    bce = build("bce")
    rows, milliseconds = [], []
    for kind in sorted(KINDS.keys() - {"bce"}):
        loss = build(kind, **(NEEDED[kind] if kind == "sum" else {}))
        maps = loss.target_maps(target)
        times = turns([lambda z: bce(z, target), lambda z: loss(z, target, maps)], logits)  # noqa: B023
        milliseconds += times[0]
        cells = [f"{ratio(times):.1f}", ""]
        if maps is not None:
            times = turns([lambda z: bce(z, target), lambda z: loss(z, target)], logits)  # noqa: B023
            cells[1] = f"{ratio(times):.1f}"
        rows.append(f"| `{kind}` | {' | '.join(cells)} |")
    return COST.format(processor(), torch.__version__, statistics.median(milliseconds)) + "\n".join(rows)


COST = """Forward and backward of the loss alone, on 8 images of 64×64 with five planes, in units of what `bce` takes,
which took turns with it: median of 15 ratios of processor time, on one thread of {} with PyTorch
{}, where `bce` took {:.2f} ms (`python docs/losses.py --time`). All with their defaults, and `sum` of
mse and dice. The last column is of losses with maps of the target: these are made once per data set, but in
every step where augmentation moves the masks or the data set is streamed.

| kind | times `bce` | maps in every step |
|---|---|---|
"""


def turns(steps: list[Callable[[Tensor], Tensor]], logits: Tensor) -> list[list[float]]:
    """Milliseconds of processor time of each at each turn; it runs twice in a row, and the second, warm, counts."""
    times: list[list[float]] = [[] for _ in steps]
    for _ in range(15):
        for step, taken in zip(steps, times, strict=True):
            for _ in range(2):
                leaf = logits.clone().requires_grad_()
                start = time.process_time()
                step(leaf).backward()
                end = time.process_time()
            taken.append(1000 * (end - start))
    return times


def ratio(times: list[list[float]]) -> float:
    """Median over the turns of the second's time in units of the first's."""
    return statistics.median(second / first for first, second in zip(*times, strict=True))


def processor() -> str:
    """Its name, as the system has it."""
    file = Path("/proc/cpuinfo")
    names = re.findall(r"model name\s*: (.+)", file.read_text(encoding="utf-8")) if file.exists() else []
    return names[0] if names else platform.processor() or platform.machine()


if __name__ == "__main__":
    file = HERE / "losses.md"
    cost = measured_cost() if "--time" in sys.argv else cost_of(file.read_text(encoding="utf-8"))
    file.write_text(page(cost), encoding="utf-8")
    kinds = sorted(KINDS)
    published = [kind for kind in kinds if isinstance(build(kind, **NEEDED.get(kind, {})), RawOutput)]
    textbook = [kind for kind in kinds if kind not in published]
    for name, shown in {"losses": textbook, "losses_published": published}.items():
        figure(shown).savefig(HERE / f"{name}.png", dpi=100, bbox_inches="tight", metadata={"Software": None})
