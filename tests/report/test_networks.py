"""Several networks side by side: what is said of them, and how the page shows it."""

import json
from collections import Counter
from collections.abc import Sequence
from itertools import pairwise
from pathlib import Path

import pytest
from selenium import webdriver
from selenium.webdriver.common.by import By
from selenium.webdriver.remote.webelement import WebElement

from losslab.report.networks import overview
from losslab.results import paths
from losslab.results.standings import Standing, Verdict

NETWORKS = ["unet", "deeplabv3_resnet50_wide"]


def boards(**means: dict[str, float | None]) -> dict[str, list[Standing]]:
    """Network → a row for each loss, ranked as the report does."""
    return {
        network: [
            Standing("d", network, loss, "miou", "tuned", mean, mean and mean - 0.1, mean and mean + 0.1)
            for loss, mean in sorted(of_losses.items(), key=lambda item: -(item[1] or 0.0))
        ]
        for network, of_losses in means.items()
    }


OTHERS = "The chance that a is the best on average over others like these is over 90 %."


def verdicts(**said: str) -> dict[str, Verdict]:
    """Network → verdict, of `leader verdict`."""
    return {
        network: Verdict("d", network, *(text.split(" ", 1)[::-1] if text else ())) for network, text in said.items()
    }


@pytest.mark.parametrize(
    ("said", "sentence"),
    [
        ({"u": "a best", "v": "a best"}, "a is best on 2 of 2 (u and v)."),
        (
            {"u": "a best", "v": "b best", "w": "a best"},
            f"a is best on 2 of 3 (u and w); b is best on 1 of 3 (v). {OTHERS}",
        ),
        (
            {"u": "a undecided", "v": "a good enough", "w": "b best"},
            f"b is best on 1 of 3 (w); a is good enough on 1 of 3 (v); it is open on 1 of 3 (u). {OTHERS}",
        ),
        ({"u": "a undecided", "v": ""}, "It is open on 2 of 2 (u and v)."),
    ],
)
def test_the_sentence_counts_the_networks_that_each_verdict_was_reached_with(
    said: dict[str, str], sentence: str
) -> None:
    shown = overview(boards(**{network: {"a": 0.9, "b": 0.5} for network in said}), verdicts(**said))
    assert shown is not None
    assert shown.sentence == sentence


def test_one_loss_has_its_score_with_each_network() -> None:
    shown = overview(boards(u={"a": 0.5}, v={"a": 0.7}, w={"a": 0.6}), verdicts(u="a best", v="a best", w="a best"))
    assert shown is not None
    assert shown.sentence == "a scores 0.700 with v, 0.600 with w and 0.500 with u."


def test_a_loss_without_a_model_is_named_and_comes_last() -> None:
    shown = overview(
        boards(u={"a": 0.9, "b": 0.5}, v={"a": None, "b": 0.4}, w={"a": None, "b": 0.4}),
        verdicts(u="a best", v="b best", w="b best"),
    )
    assert shown is not None
    assert shown.losses == ["b", "a"]
    assert shown.detail == "a gave no model with v and w."
    assert {key: place for key, (place, _) in shown.cells.items()} == {
        ("a", "u"): 1, ("b", "u"): 2, ("b", "v"): 1, ("b", "w"): 1,
    }  # fmt: skip


def test_one_network_needs_no_overview(written: Path) -> None:
    assert overview(boards(u={"a": 0.9, "b": 0.5}), verdicts(u="a best")) is None
    assert "every loss with every network" not in (written / paths.REPORT).read_text(encoding="utf-8")


def test_figures_lie_by_data_set_and_network(grid: Path) -> None:
    for folder, suffix in ((paths.FIGURES, ".png"), (paths.SVG, ".svg")):
        pictures = [path.relative_to(grid / folder) for path in (grid / folder).rglob(f"*{suffix}")]
        assert {path.parts[:-1] for path in pictures} == {(d, n) for d in ("shapes", "flowers") for n in NETWORKS}
        assert set(Counter(path.name for path in pictures).values()) == {4}


@pytest.fixture
def page(chromium: webdriver.Chrome, grid: Path) -> webdriver.Chrome:
    """The report of two data sets and two networks, just opened."""
    chromium.get((grid / paths.REPORT).as_uri())
    return chromium


def test_the_table_has_the_scores_of_every_loss_with_every_network(page: webdriver.Chrome, grid: Path) -> None:
    rows = json.loads((grid / paths.LEADERBOARD).read_text(encoding="utf-8"))
    wanted = {
        (row["loss"], row["network"]): f"{row['mean']:.3f} {row['low']:.3f} to {row['high']:.3f}"
        for row in rows
        if (row["dataset"], row["metric"], row["threshold"]) == ("flowers", "miou", "tuned")
    }
    table = page.find_elements(By.CSS_SELECTOR, ".networks")[1]
    networks = texts(table.find_elements(By.CSS_SELECTOR, "thead th"))[1:]
    assert networks == NETWORKS
    shown = {}
    for row in table.find_elements(By.CSS_SELECTOR, "tbody tr"):
        loss = row.find_element(By.TAG_NAME, "th").text
        for network, cell in zip(networks, row.find_elements(By.TAG_NAME, "td"), strict=True):
            shown[loss, network] = " ".join(cell.text.split()[1:])
    assert shown == wanted
    assert "It is open on 2 of 2 (unet and deeplabv3_resnet50_wide)." in texts(
        page.find_elements(By.CSS_SELECTOR, ".sentence")
    )


def test_the_table_sorts_by_network(page: webdriver.Chrome) -> None:
    table = page.find_element(By.CSS_SELECTOR, ".networks")

    def places(column: int) -> list[str]:
        return [text.split()[0] for text in texts(table.find_elements(By.CSS_SELECTOR, f"td:nth-of-type({column})"))]

    for column in (1, 2):
        table.find_elements(By.CSS_SELECTOR, "thead button")[column].click()
        assert places(column) == ["1.", "2.", "3."]
        assert sorted(places(3 - column)) == ["1.", "2.", "3."]


def test_every_link_leads_to_a_heading_and_no_id_is_given_twice(page: webdriver.Chrome) -> None:
    ids = [element.get_attribute("id") for element in page.find_elements(By.CSS_SELECTOR, "[id]")]
    assert [name for name, count in Counter(ids).items() if count > 1] == []
    headings = {h.get_attribute("id"): h.text for h in page.find_elements(By.CSS_SELECTOR, "h2, h3")}
    links: dict[str, list[str]] = {}
    for link in page.find_elements(By.CSS_SELECTOR, "nav a"):
        links.setdefault(link.text, []).append(headings[str(link.get_attribute("href")).split("#")[1]])
    overviews = [f"{name}: every loss with every network" for name in ("shapes", "flowers")]
    assert [links["shapes"], links["flowers"]] == [[overview] for overview in overviews]
    assert links["All networks"] == [overviews[0]] * 2 + [overviews[1]] * 2
    for network in NETWORKS:
        assert links[network] == [f"shapes, {network}", f"flowers, {network}"]
    assert links["Data"] == ["shapes: the data"] * 3 + ["flowers: the data"] * 3
    labels = [
        element.get_attribute("aria-label") for element in page.find_elements(By.CSS_SELECTOR, "nav, [role=region]")
    ]
    assert [label for label, count in Counter(labels).items() if count > 1] == []


def test_headings_go_down_by_one_level_at_a_time(page: webdriver.Chrome, written: Path) -> None:
    for address in (page.current_url, (written / paths.REPORT).as_uri()):
        page.get(address)
        levels = [int(h.tag_name[1]) for h in page.find_elements(By.CSS_SELECTOR, "h1, h2, h3, h4, h5, h6")]
        assert levels[0] == 1
        assert levels.count(1) == 1
        assert all(after <= before + 1 for before, after in pairwise(levels))


def texts(elements: Sequence[WebElement]) -> list[str]:
    """What is seen of each."""
    return [element.text for element in elements]
