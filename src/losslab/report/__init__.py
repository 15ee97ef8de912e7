"""The report: figures as PNG and SVG files, and one HTML page that holds them all and opens offline.

`evidence` reads what the other stages left, `answer` says it in a sentence, `pictures` draws it, `browser` packs the
test images, `facts` has the rest; `template.html`, `style.css` and `script.js` are the page.
"""

import base64
import hashlib
from pathlib import Path
from typing import Any

import yaml
from jinja2 import Environment, PackageLoader, StrictUndefined
from markupsafe import Markup
from tqdm import tqdm

from losslab import figures
from losslab.files import atomic_file, atomic_folder
from losslab.leaderboard import Row
from losslab.params import Params
from losslab.report import answer, evidence, facts
from losslab.report.browser import browser
from losslab.report.evidence import Evidence
from losslab.report.pictures import pictures

ATLAS_BYTES = 5_500_000
"""Of the image browsers, shared by the data sets: with the figures the page stays below 8 MB."""


def write(params: Params, folder: Path) -> None:
    """Write `figures/<data set>/*.png`, the same as `svg/<data set>/*.svg`, and `report.html`.

    Raises:
        InputError: what another stage should have left is missing or damaged.
    """
    sections = []
    with atomic_folder(folder / "figures") as png, atomic_folder(folder / "svg") as svg:
        for dataset in params.grid.datasets:
            found = evidence.read(params, dataset, folder)
            drawn = {}
            steps = tqdm(pictures(found, params.report.images), f"{dataset}: figures", disable=None)
            for name, caption, figure in steps:
                figures.save(figure, png / dataset / f"{name}.png", svg / dataset / f"{name}.svg")
                drawn[name] = {"caption": caption, "uri": _data_uri(svg / dataset / f"{name}.svg")}
            sections.append(_section(params, found, drawn))
    page = _page(params, sections)
    with atomic_file(folder / "report.html") as temporary:
        temporary.write_text(page, encoding="utf-8")


def _section(params: Params, found: Evidence, drawn: dict[str, Any]) -> dict[str, Any]:
    """What the page says of one data set."""
    cells = {(row.loss, row.metric, row.threshold): row for row in found.board}
    metrics = list(dict.fromkeys(row.metric for row in found.board))
    ranked = found.ranked
    return {
        "dataset": found.dataset,
        "answer": answer.answer(found, params.compare.confidence),
        "remarks": found.analysis.get("remarks") or [],
        "ranked": ranked,
        "cells": cells,
        "metrics": {name: facts.METRICS.get(name, facts.Metric(name.replace("_", " "), "")) for name in metrics},
        "whiskers": _whiskers(ranked),
        "best_probability": {
            loss: answer.percent(p)
            for loss, p in (found.analysis.get("best_probability") or {}).items()
            if p is not None
        },
        "colours": {loss: look.colour for loss, look in figures.looks(found.losses).items()},
        "figures": drawn,
        "browser": browser(found, ATLAS_BYTES // len(params.grid.datasets)),
        "data": facts.data_facts(params, found.dataset),
    }


def _whiskers(ranked: list[Row]) -> dict[str, tuple[float, float, float]]:
    """Loss → (low, mean, high) as shares of the range that all intervals together take up."""
    ends = [(row.loss, row.low or 0.0, row.mean, row.high or 0.0) for row in ranked if row.mean is not None]
    start = min((low for _, low, _, _ in ends), default=0.0)
    span = max((high for *_, high in ends), default=1.0) - start or 1.0
    return {
        loss: ((low - start) / span, (mean - start) / span, (high - start) / span) for loss, low, mean, high in ends
    }


def _page(params: Params, sections: list[dict[str, Any]]) -> str:
    environment = Environment(
        loader=PackageLoader("losslab.report", ""),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters["signed"] = figures.signed
    environment.filters["yaml"] = lambda value: yaml.safe_dump(value, sort_keys=False, allow_unicode=True)
    here = Path(__file__).parent
    script = (here / "script.js").read_text(encoding="utf-8")
    metrics: dict[str, Any] = {}
    for section in sections:
        metrics |= section["metrics"]
    return environment.get_template("template.html").render(
        sections=sections,
        params=params,
        settings=params.model_dump(mode="json"),
        metrics=metrics,
        confidence=f"{100 * params.compare.confidence:.3g}",
        made_with=facts.made_with(params),
        style=Markup((here / "style.css").read_text(encoding="utf-8")),
        script=Markup(script),
        # The policy names this one script, so that nothing else in the page could ever run, and nothing be fetched.
        script_hash=base64.b64encode(hashlib.sha256(script.encode()).digest()).decode(),
    )


def _data_uri(path: Path) -> str:
    return f"data:image/svg+xml;base64,{base64.b64encode(path.read_bytes()).decode()}"
