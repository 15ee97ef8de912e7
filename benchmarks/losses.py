"""Forward + backward of every loss beside other implementations of the same formula, in the same run.

    python benchmarks/losses.py [--images 32] [--size 64] [--seconds 2] [--device cpu] [--kinds dice bce]

For each entry of `tests/support/loss_oracles.py` (the same options, held equal by a test) and each published
loss (beside its plain loop of `tests/support/published_loops.py`) the two take turns. `ms` is the median, and
`ratio` the median of ours / theirs over the turns, so that what else the machine does weighs on both; on the
CPU it is processor time. A kind passes if it takes at most 1.1 times its fastest other implementation; a
published one if it is not slower than its plain loop. Losses of distances get their maps, as in training.
Prints JSON.
"""

import argparse
import ctypes
import json
import platform
import sys
import time
import warnings
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from timing import Figure, Goal
from torch import Tensor

if TYPE_CHECKING:
    from speed import Options

sys.path[:0] = [str(Path(__file__).parents[1] / folder) for folder in ("src", "tests/support")]

import published_loops  # noqa: E402
from loss_cases import batch, kind_loss  # noqa: E402
from loss_oracles import ORACLES  # noqa: E402

from losslab.losses import KINDS  # noqa: E402
from losslab.losses.published.raw import label_values  # noqa: E402

Function = Callable[[Tensor, Tensor], Tensor]


def seconds(function: Function, logits: Tensor, target: Tensor) -> float:
    """One forward and backward."""
    logits.grad = None
    start = now(logits.device)
    function(logits, target).backward()
    return now(logits.device) - start


def now(device: torch.device) -> float:
    """On the CPU time of this process, which others on the machine disturb less."""
    if device.type == "cpu":
        return time.process_time()
    torch.cuda.synchronize()
    return time.perf_counter()


def race(functions: list[Function], logits: Tensor, target: Tensor, least_time: float) -> list[list[float]]:
    """Milliseconds of each function at each turn. Each runs twice in a row, and the second, warm, counts."""
    logits = logits.detach().requires_grad_()
    times: list[list[float]] = [[] for _ in functions]
    end = now(logits.device) + least_time
    while len(times[0]) < 15 or now(logits.device) < end:
        for i, function in list(enumerate(functions))[:: 1 if len(times[0]) % 2 else -1]:
            seconds(function, logits, target)
            times[i].append(1000 * seconds(function, logits, target))
    return times


def keep_memory() -> None:
    """Have glibc keep what is freed: or whoever comes after a large array is given back pays for getting it again."""
    libc = ctypes.CDLL(None)
    if hasattr(libc, "mallopt"):
        mmap_threshold, trim_threshold = -3, -1  # of malloc.h
        libc.mallopt(mmap_threshold, 1 << 25)
        libc.mallopt(trim_threshold, (1 << 31) - 1)


def measure(arguments: argparse.Namespace) -> list[dict[str, Any]]:
    """A row for each pair of implementations, or for a kind that has no other."""
    keep_memory()

    def data(classes: int) -> tuple[Tensor, Tensor]:
        # Floats: a target without void, as most training steps have it.
        return tuple(x.to(arguments.device).float() for x in batch(arguments.images, classes, arguments.size))

    rows: list[dict[str, Any]] = []
    for oracle in ORACLES:
        if oracle.kind not in arguments.kinds:
            continue
        logits, target = data(1 if oracle.classes == 1 else 5)
        options = oracle.options
        if "class_weights" in options:  # one weight more than in the test, which has four classes
            continue
        loss = kind_loss(oracle.kind, **options)
        maps = loss.target_maps(target)
        ours, theirs = race(
            [lambda z, t: loss(z, t, maps), oracle.make()],  # noqa: B023
            oracle.logits(logits),
            target,
            arguments.seconds,
        )
        rows.append(row(oracle.kind, options, oracle.library, logits, ours, theirs))
    for kind in arguments.kinds:
        if any(pair["kind"] == kind for pair in rows) and not kind.startswith("report_"):
            continue
        loss, loop = kind_loss(kind), getattr(published_loops, kind, None)
        logits, target = data(1 if kind == "report_a_coco" else 5)  # the report's COCO network has one channel
        maps = loss.target_maps(target)
        functions: list[Function] = [lambda z, t: loss(z, t, maps)]  # noqa: B023
        if loop:
            masks = target * label_values(loss.labels, logits)
            functions.append(lambda z, _: loop(z, masks))  # noqa: B023
        ours, *theirs = race(functions, logits.abs() / 4, target, arguments.seconds)
        rows.append(row(kind, {}, "plain loop" if loop else None, logits, ours, theirs[0] if theirs else None))
    return rows


def row(
    kind: str, options: dict[str, Any], other: str | None, logits: Tensor, ours: list[float], theirs: list[float] | None
) -> dict[str, Any]:
    result = {
        "kind": kind,
        "options": options,
        "shape": list(logits.shape),
        "other": other,
        "ms": round(np.median(ours), 3),
    }
    if theirs is not None:
        ratio = float(np.median(np.array(ours) / np.array(theirs)))
        result |= {"other_ms": round(np.median(theirs), 3), "ratio": round(ratio, 3)}
    return result


def verdicts(rows: list[dict[str, Any]]) -> dict[str, Any]:
    """Which kinds miss their bound: over 1.1 × a library, or slower than the loop."""
    slow, slow_loops = {}, {}
    for pair in rows:
        options = json.dumps(pair["options"])
        if pair["other"] == "plain loop":
            if pair["ratio"] > 1:
                slow_loops[pair["kind"]] = pair["ratio"]
        elif pair["other"] and pair["ratio"] > 1.1:
            slow[f"{pair['kind']} {options} {pair['other']}"] = pair["ratio"]
    return {"slower_than_1.1x": slow, "slower_than_the_loop": slow_loops}


def figures(_: "Options") -> list[Figure]:
    """The worst of all losses beside another library, and beside its plain loop."""
    torch.set_num_threads(1)
    rows = measure(argparse.Namespace(images=32, size=64, seconds=0.5, device="cpu", kinds=sorted(KINDS)))
    worst_of_each = []
    for loop, goal in ((False, Goal("ratio", "≤", 1.1)), (True, Goal("ratio", "≤", 1))):
        these = [row for row in rows if row["other"] and (row["other"] == "plain loop") is loop]
        worst = max(these, key=lambda row: row["ratio"])
        what = (
            f"slowest of {len(these)} {'published losses' if loop else 'pairs'} beside its baseline: `{worst['kind']}`"
        )
        worst_of_each.append(Figure(what, "ms", worst["ms"], worst["other"], worst["other_ms"], worst["ratio"], goal))
    return worst_of_each


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--images", type=int, default=32)
    parser.add_argument("--size", type=int, default=64)
    parser.add_argument("--seconds", type=float, default=2.0, help="of each pair; never less than 15 turns")
    parser.add_argument("--device", default="cpu")
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--kinds", nargs="+", choices=sorted(KINDS), default=sorted(KINDS))
    arguments = parser.parse_args()
    torch.set_num_threads(arguments.threads)
    warnings.simplefilter("ignore")
    rows = measure(arguments)
    device = torch.cuda.get_device_name() if arguments.device == "cuda" else platform.processor() or "cpu"
    machine = {"device": device, "threads": arguments.threads, "torch": torch.__version__}
    print(json.dumps({"machine": machine, **verdicts(rows), "rows": rows}, indent=1, ensure_ascii=False))


if __name__ == "__main__":
    main()
