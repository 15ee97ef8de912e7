"""The page: every data set with every network, and the overview over the networks where there are several."""

import base64
import hashlib
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import yaml
from jinja2 import Environment, PackageLoader, StrictUndefined
from markupsafe import Markup
from matplotlib.figure import Figure
from tqdm import tqdm

from losslab.comparison import headline, overall
from losslab.evaluation.metrics import METRICS
from losslab.report import evidence, networks, provenance
from losslab.report.captions import pictures
from losslab.report.evidence import Evidence
from losslab.report.figures import results, style
from losslab.report.image_atlas import browser
from losslab.results import paths
from losslab.results.files import atomic_file, atomic_folder
from losslab.results.standings import RANKED_BY, RULES
from losslab.settings import overrides
from losslab.settings.plans import ReportPlan

ATLAS_BYTES = 5_500_000
"""Of the image browsers, shared by the data sets: with the figures the page stays below 8 MB."""


def write(plan: ReportPlan) -> None:
    """Write `figures/<data set>/<network>/*.png`, the same below `svg`, and `report.html`.

    Raises:
        InputError: what another stage should have left is missing or damaged.
    """
    params, sections = plan.params, []
    budget = ATLAS_BYTES // (len(params.grid.datasets) * len(params.grid.networks))
    # Images are packed beside the drawing of figures: WebP's encoder is C, and leaves the interpreter free.
    with atomic_folder(paths.FIGURES) as png, atomic_folder(paths.SVG) as svg, ThreadPoolExecutor(1) as beside:
        for dataset in params.grid.datasets:
            boards = []
            for network in params.grid.networks:
                shown = evidence.read(params, dataset, network)
                images = beside.submit(browser, shown, budget)
                drawn = _draw(shown, params.report.images, png, svg)
                boards.append(_board(shown, drawn) | {"browser": images.result()})
            sections.append(
                {
                    "dataset": dataset,
                    "boards": boards,
                    "overview": networks.overview(
                        {board["network"]: board["ranked"] for board in boards},
                        {board["network"]: board["verdict"] for board in boards},
                    ),
                    "data": provenance.data_facts(params, dataset),
                }
            )
        together = _together(plan, sections, png, svg)
    page = _page(plan, sections, together)
    with atomic_file(paths.REPORT) as temporary:
        temporary.write_text(page, encoding="utf-8")


def _draw(shown: Evidence, images: int, png: Path, svg: Path) -> dict[str, dict[str, str]]:
    """Save every figure in both folders; name → `caption` and `uri`."""
    folder = Path(shown.dataset, shown.network)
    steps = tqdm(pictures(shown, images), f"{shown.dataset} {shown.network}: figures", disable=None)
    return {name: _saved(figure, caption, folder / name, png, svg) for name, caption, figure in steps}


def _saved(figure: Figure, caption: str, name: Path, png: Path, svg: Path) -> dict[str, str]:
    """A figure in both folders; its `caption` and `uri`."""
    style.save(figure, png / f"{name}.png", svg / f"{name}.svg")
    content = base64.b64encode((svg / f"{name}.svg").read_bytes()).decode()
    return {"caption": caption, "uri": f"data:image/svg+xml;base64,{content}"}


def _board(shown: Evidence, drawn: dict[str, Any]) -> dict[str, Any]:
    """What the page says of one data set with one network."""
    return {
        "network": shown.network,
        "verdict": shown.verdict,
        "remarks": shown.analysis.get("remarks") or [],
        "ranked": shown.ranked,
        "rule": shown.rule,
        "rules": [rule for rule in RULES if any(row.threshold == rule for row in shown.board)],
        "cells": {(row.loss, row.metric, row.threshold): row for row in shown.board},
        "chances": {loss: (chance, headline.chance(chance)) for loss, chance in shown.verdict.chances.items()},
        "tuning": shown.tuning,
        "quality": _quality(shown.analysis.get("time_to_quality") or []),
        "colours": {loss: look.colour for loss, look in style.looks(shown.losses).items()},
        "figures": drawn,
    }


def _together(plan: ReportPlan, sections: list[dict[str, Any]], png: Path, svg: Path) -> dict[str, Any]:
    """What all data sets with all networks say together: `sentences`, and `figures` where there are enough to rank."""
    boards = {f"{d['dataset']} {b['network']}": b for d in sections for b in d["boards"]}
    rows = [row for board in boards.values() for row in board["ranked"]]
    verdicts = {name: board["verdict"] for name, board in boards.items()}
    sentences, figures = [overall.sentence(verdicts, rows)] if len(sections) > 1 else [], {}
    if ranks := overall.ranks(verdicts, rows, plan.params.compare.confidence):
        sentences.append(ranks.sentence)
        caption = "Mean rank of each loss over data sets and networks: two whose bars do not overlap differ"
        figures["ranks"] = _saved(results.critical_difference(ranks), caption, Path("ranks"), png, svg)
    return {"sentences": sentences, "figures": figures}


def _quality(rows: list[dict[str, Any]]) -> dict[str, Any] | None:
    """Percents, and for each loss a cell for each of them."""
    losses: dict[str, list[dict[str, Any]]] = {}
    for row in rows:
        losses.setdefault(row["loss"], []).append(row)
    return {"percents": list(dict.fromkeys(row["percent"] for row in rows)), "losses": losses} if rows else None


def _page(plan: ReportPlan, sections: list[dict[str, Any]], together: dict[str, Any]) -> str:
    loader = PackageLoader("losslab.report", "web")
    environment = Environment(
        loader=loader, autoescape=True, undefined=StrictUndefined, trim_blocks=True, lstrip_blocks=True
    )
    environment.filters["signed"] = style.signed
    environment.filters["yaml"] = lambda value: yaml.safe_dump(value, sort_keys=False, allow_unicode=True)
    web = Path(__file__).parent / "web"
    measured = {metric for s in sections for board in s["boards"] for _, metric, _ in board["cells"]}
    script = (web / "script.js").read_text(encoding="utf-8")
    return environment.get_template("template.html").render(
        sections=sections,
        own=overrides.shown(plan.params),
        recipes=overrides.of_recipes(plan.params),
        together=together,
        params=plan.params,
        settings=plan.params.model_dump(mode="json"),
        metrics={name: metric for name, metric in METRICS.items() if name in measured},
        ranking=METRICS[RANKED_BY],
        ranked_by=RANKED_BY,
        rules=RULES,
        beside={name: m for name, m in METRICS.items() if m.headline and name != RANKED_BY},
        confidence=f"{100 * plan.params.compare.confidence:.3g}",
        made_with=provenance.made_with(plan),
        style=Markup((web / "style.css").read_text(encoding="utf-8")),
        script=Markup(script),
        # The policy names this one script, so that nothing else in the page could ever run, and nothing be fetched.
        script_hash=base64.b64encode(hashlib.sha256(script.encode()).digest()).decode(),
    )
