"""Seconds to draw the figures and write the report of the finished run, without MLflow. The baseline draws as many
plain line plots and writes them, as PNG and SVG too: what matplotlib takes for any figures at all.
"""

import io
import tempfile
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

from matplotlib.figure import Figure as Plot
from timing import Figure, Skipped, figure, in_turns, seconds

from losslab import report
from losslab.errors import InputError
from losslab.settings import params

if TYPE_CHECKING:
    from speed import Options

OURS = {"figures", "svg", "report.html"}


def plain(count: int) -> None:
    for _ in range(count):
        plot = Plot()
        plot.subplots().plot([0, 1], [0, 1])
        for kind in ("png", "svg"):
            plot.savefig(io.BytesIO(), format=kind)


def figures(options: "Options") -> list[Figure]:
    settings = params.load()
    with tempfile.TemporaryDirectory() as work:
        for path in Path("results").iterdir():
            if path.name not in OURS:
                Path(work, path.name).symlink_to(path.resolve())
        try:
            plain(1)  # the first of each is slow
            report.write(settings, Path(work))
        except InputError as error:
            raise Skipped(f"the run is not finished ({error})") from None
        count = len(list(Path(work, "figures").rglob("*.png")))
        ours, theirs = in_turns(
            min(options.rounds, 3),
            partial(seconds, partial(report.write, settings, Path(work))),
            partial(seconds, partial(plain, count)),
            warm=False,
        )
    return [figure(f"report, {count} figures", "s", ours, f"{count} plain plots", theirs)]
