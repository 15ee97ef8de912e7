"""Seconds to draw the figures and write the report of the finished run, without MLflow. The baseline draws as many
plain line plots and writes them, as PNG and SVG too: what matplotlib takes for any figures at all.
"""

import contextlib
import io
import tempfile
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

from matplotlib.figure import Figure as Plot
from timing import Figure, Goal, Skipped, figure, in_turns, seconds

from losslab.errors import InputError
from losslab.report import page
from losslab.results import paths
from losslab.settings.plans import ReportPlan

if TYPE_CHECKING:
    from speed import Options

OURS = {paths.FIGURES, paths.SVG, paths.REPORT}


def plain(count: int) -> None:
    for _ in range(count):
        plot = Plot()
        plot.subplots().plot([0, 1], [0, 1])
        for kind in ("png", "svg"):
            plot.savefig(io.BytesIO(), format=kind)


def figures(options: "Options") -> list[Figure]:
    with tempfile.TemporaryDirectory() as work:
        Path(work, paths.RESULTS).mkdir()
        for path in (paths.TENSORS.parent, *paths.RESULTS.iterdir()):
            if path not in OURS:
                Path(work, path).symlink_to(path.resolve())
        with contextlib.chdir(work):
            try:
                plain(1)  # the first of each is slow
                plan = ReportPlan.read()
                page.write(plan)
            except InputError as error:
                raise Skipped(f"the run is not finished ({error})") from None
            count = len(list(paths.FIGURES.rglob("*.png")))
            ours, theirs = in_turns(
                min(options.rounds, 3),
                partial(seconds, partial(page.write, plan)),
                partial(seconds, partial(plain, count)),
                warm=False,
            )
    return [figure(f"report, {count} figures", "s", ours, f"{count} plain plots", theirs, Goal("ours", "≤", 5))]
