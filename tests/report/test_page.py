"""The report as its readers open it: a file in a browser, without a network."""

import json
import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from projects import ROOT
from report_world import HOSTILE, results
from selenium import webdriver
from selenium.webdriver.common.by import By
from selenium.webdriver.common.keys import Keys
from selenium.webdriver.support.ui import Select, WebDriverWait

from losslab.errors import InputError
from losslab.report import page as report_page
from losslab.report.evidence import image_dice
from losslab.results import paths, scores, tuning_table
from losslab.results.tuning_table import Point, Tried
from losslab.settings.params import Tune
from losslab.settings.plans import Cell


@pytest.fixture
def page(chromium: webdriver.Chrome, written: Path) -> webdriver.Chrome:
    """The report, just opened, with the first image drawn."""
    chromium.get((written / "results/report.html").as_uri())
    drawn(chromium)
    return chromium


def drawn(page: webdriver.Chrome, image: str | None = None) -> str:
    """Wait for an image (any, or the one given) to be on the browser's stage; its id."""
    root = page.find_element(By.CSS_SELECTOR, ".browser")
    WebDriverWait(page, 10).until(lambda _: root.get_attribute("data-image") in ([image] if image else IDS))
    return str(root.get_attribute("data-image"))


IDS = [f"test{index}" for index in range(12)]


def test_no_error_and_no_request(page: webdriver.Chrome) -> None:
    page.get_log("performance")  # of what the browser opened by itself
    page.refresh()
    drawn(page)
    assert page.get_log("browser") == []
    sent = [json.loads(entry["message"])["message"] for entry in page.get_log("performance")]
    asked = {m["params"]["request"]["url"] for m in sent if m["method"] == "Network.requestWillBeSent"}
    assert {url.split(":")[0] for url in asked} == {"file", "data"}
    assert {url for url in asked if url.startswith("file")} == {page.current_url}


def test_a_heading_sorts_and_sorts_back(page: webdriver.Chrome) -> None:
    def losses() -> list[str]:
        return [cell.text for cell in page.find_elements(By.CSS_SELECTOR, ".board tbody th")]

    assert losses() == ["bce", "dice", "mse"], "best first"
    heading = next(th for th in page.find_elements(By.CSS_SELECTOR, ".board thead th") if "0.5" in th.text)
    button = heading.find_element(By.TAG_NAME, "button")
    button.click()
    descending = losses()
    assert heading.get_attribute("aria-sort") == "descending"
    button.send_keys(Keys.ENTER)
    assert heading.get_attribute("aria-sort") == "ascending"
    assert losses() == descending[::-1]


def test_an_image_is_picked_and_stepped_through_with_the_keyboard(page: webdriver.Chrome) -> None:
    Select(page.find_element(By.NAME, "order")).select_by_value("stored")
    page.find_element(By.CSS_SELECTOR, ".film button[data-index='5']").click()
    drawn(page, "test5")
    page.find_element(By.CSS_SELECTOR, ".stage").send_keys(Keys.ARROW_RIGHT)
    drawn(page, "test6")
    page.find_element(By.CSS_SELECTOR, ".stage").send_keys(Keys.ARROW_LEFT, Keys.ARROW_LEFT)
    drawn(page, "test4")
    page.find_element(By.CSS_SELECTOR, ".stage").send_keys(Keys.END)
    drawn(page, "test11")
    assert not page.find_element(By.NAME, "next").is_enabled()
    page.find_element(By.NAME, "previous").click()
    drawn(page, "test10")


def test_filters_by_class_and_by_disagreement(page: webdriver.Chrome, written: Path) -> None:
    Select(page.find_element(By.NAME, "order")).select_by_value("stored")
    Select(page.find_element(By.NAME, "class")).select_by_visible_text(HOSTILE)
    page.find_element(By.CSS_SELECTOR, ".stage").send_keys(Keys.HOME)
    drawn(page, "test1")
    assert "1 of 6." in page.find_element(By.CSS_SELECTOR, ".position").text
    Select(page.find_element(By.NAME, "class")).select_by_index(0)
    Select(page.find_element(By.NAME, "differ")).select_by_value("250")
    tables = [scores.read(written / paths.scores_file(Cell("shapes", "unet", loss))) for loss in ("bce", "dice", "mse")]
    dice = [image_dice(table.counts["tuned"])[0] for table in tables]
    expected = sum(max(d[i] for d in dice) - min(d[i] for d in dice) >= 0.25 for i in range(12))
    assert 0 < expected < 12
    assert f"of {expected}." in page.find_element(By.CSS_SELECTOR, ".position").text


def test_the_canvas_shows_every_pixel_as_the_scores_count_it(page: webdriver.Chrome, written: Path) -> None:
    Select(page.find_element(By.NAME, "order")).select_by_value("stored")
    Select(page.find_element(By.NAME, "seed")).select_by_value("1")
    assert page.find_element(By.NAME, "view").get_attribute("value") == "overlay"
    Select(page.find_element(By.NAME, "view")).select_by_value("outcome")
    page.find_element(By.CSS_SELECTOR, ".film button[data-index='5']").click()
    drawn(page, "test5")
    cells = page.execute_script(
        """return [...document.querySelectorAll('.cell')].map((cell) => {
          const canvas = cell.querySelector('canvas'), count = {};
          const data = canvas.getContext('2d').getImageData(0, 0, canvas.width, canvas.height).data;
          for (let p = 0; p < data.length; p += 4) {
            const colour = data.slice(p, p + 3).join(); count[colour] = (count[colour] ?? 0) + 1;
          }
          return [cell.querySelector('figcaption span').textContent, count];
        })"""
    )
    shown = dict(cells)
    for loss in ("bce", "dice", "mse"):
        table = scores.read(written / paths.scores_file(Cell("shapes", "unet", loss)))
        tp, fp, fn, _ = table.counts["tuned"][1, 5].sum(axis=0)
        pixels = [shown[loss].get(colour, 0) for colour in ("0,158,115", "204,40,120", "230,159,0")]
        assert pixels == [tp, fp, fn]


def test_names_from_the_data_are_only_words(page: webdriver.Chrome) -> None:
    assert page.execute_script("return window.hacked") is None
    assert page.find_elements(By.CSS_SELECTOR, "img[src='x']") == []
    assert HOSTILE in [cell.text for cell in page.find_elements(By.CSS_SELECTOR, "tbody th")]
    assert HOSTILE in [option.text for option in Select(page.find_element(By.NAME, "class")).options]


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("report", ["written", "grid"])
def test_a_phone_needs_no_sideways_scroll_and_text_stands_out(
    chromium: webdriver.Chrome, request: pytest.FixtureRequest, report: str, scheme: str
) -> None:
    chromium.get((request.getfixturevalue(report) / "results/report.html").as_uri())
    drawn(chromium)
    chromium.execute_cdp_cmd(
        "Emulation.setDeviceMetricsOverride", {"width": 360, "height": 700, "deviceScaleFactor": 2, "mobile": True}
    )
    media = {"features": [{"name": "prefers-color-scheme", "value": scheme}]}
    chromium.execute_cdp_cmd("Emulation.setEmulatedMedia", media)
    try:
        chromium.execute_script("document.querySelectorAll('details').forEach((d) => (d.open = true))")
        assert chromium.execute_script("return document.documentElement.scrollWidth") == 360
        style = "const s = getComputedStyle(document.querySelector(arguments[0])); return [s.color, s.backgroundColor]"
        ground = chromium.execute_script(style, "body")[1]
        for text in ("body", ".note", "nav a", "thead button", "figcaption"):
            assert contrast(chromium.execute_script(style, text)[0], ground) >= 4.5, text
        if report == "grid":
            colour, ground = chromium.execute_script(style, ".range")[0], chromium.execute_script(style, ".first")[1]
            assert contrast(colour, ground) >= 4.5
    finally:
        chromium.execute_cdp_cmd("Emulation.clearDeviceMetricsOverride", {})
        chromium.execute_cdp_cmd("Emulation.setEmulatedMedia", {"features": []})


def contrast(text: str, ground: str) -> float:
    """Contrast ratio of two CSS colours `rgb(r, g, b)` (WCAG 2.1)."""

    def luminance(colour: str) -> float:
        parts = [int(part) / 255 for part in colour[colour.index("(") + 1 : -1].split(",")[:3]]
        linear = [c / 12.92 if c <= 0.04045 else ((c + 0.055) / 1.055) ** 2.4 for c in parts]
        return 0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2]

    dark, light = sorted((luminance(text), luminance(ground)))
    return (light + 0.05) / (dark + 0.05)


def test_on_paper_everything_is_open(page: webdriver.Chrome) -> None:
    assert page.print_page()
    assert page.find_elements(By.CSS_SELECTOR, "details:not([open])") == []


def test_the_same_results_give_the_same_bytes(written: Path, here: Path) -> None:
    report_page.write(results(here))
    files = [path.relative_to(here) for path in (here / "results").rglob("*") if path.is_file()]
    assert {path.suffix for path in files} >= {".png", ".svg", ".html"}
    assert [path for path in files if (here / path).read_bytes() != (written / path).read_bytes()] == []


@pytest.mark.parametrize(
    ("world", "says"),
    [
        (
            {"datasets": ["shapes", "flowers"], "losses": ["bce"], "seeds": [5], "classes": ["disk"], "images": 1},
            "bce is the only loss of the grid",
        ),
        ({"classes": [f"class {c}" for c in range(21)], "diverged": ["bce"]}, "Diverged: bce."),
        (
            {"losses": ["bce"], "seeds": [5], "classes": [f"class {c}" for c in range(41)], "images": 1},
            "<details><summary>41 classes and their shares</summary>",
        ),
        ({"diverged": ["bce", "dice", "mse"]}, "Every run diverged: there is nothing to compare."),
    ],
)
def test_the_page_stands_whatever_is_lacking_or_too_many(here: Path, world: dict[str, Any], says: str) -> None:
    plan = results(here, **world)
    report_page.write(plan)
    text = paths.REPORT.read_text(encoding="utf-8")
    assert says in text
    assert set(re.findall(r'href="#([^"]+)"', text)) <= set(re.findall(r'id="([^"]+)"', text))


@pytest.mark.slow  # six data sets have 84 figures
def test_six_data_sets_have_their_losses_ranked(here: Path) -> None:
    world = {"losses": ["bce", "dice"], "seeds": [5], "classes": ["disk"], "images": 2}
    report_page.write(results(here, datasets=[f"set_{number}" for number in range(6)], **world))
    text = paths.REPORT.read_text(encoding="utf-8")
    assert "By mean rank over 6, bce comes first (1.0 of 2); worse by rank: dice (critical difference 0.8)." in text
    assert "two whose bars do not overlap differ" in text
    assert (paths.FIGURES / "ranks.png").stat().st_size > 0
    assert (paths.SVG / "ranks.svg").stat().st_size > 0


def test_what_another_stage_should_have_left_is_named(here: Path) -> None:
    plan = results(here)
    paths.ANALYSIS.unlink()
    with pytest.raises(InputError, match=r"results/compare/analysis\.json: missing or damaged .*run `dvc repro`"):
        report_page.write(plan)


def test_what_tuning_tried_stands_in_the_report(here: Path) -> None:
    plan = results(here, losses=("bce", "dice"))
    plan = plan.model_copy(update={"params": plan.params.model_copy(update={"tune": Tune(trials=2)})})
    for loss in ("bce", "dice"):
        tried = [Tried(n, "adamw", 0.01 * n, None, 0.01, "{}", 1_000_000, n / 4) for n in (1, 2)]
        curves = [Point(n, 1_000_000, epoch, "miou_tuned", n * epoch / 8) for n in (1, 2) for epoch in (1, 2)]
        tuning_table.write(paths.TUNE / "shapes/unet" / loss, tried, curves, {"trial": 2, "untuned": 1})
    report_page.write(plan)
    text = paths.REPORT.read_text(encoding="utf-8")
    assert "What tuning tried, the same rates for every loss" in text
    assert "(one seed, none of them trained with later)" in text
    assert "Tuning of bce: validation" in text
    row = re.search(r"<tr><th scope=.row.>(?:<[^>]*>)*dice</th>(.*?)</tr>", text.split("chosen", 1)[1])
    assert row
    assert re.findall(r">([^<>]+)<", row[1]) == ["0.250", "0.500", "lr 0.02", "2"]
    names = {path.stem for path in (paths.FIGURES / "shapes/unet").iterdir() if path.stem.startswith("tuning")}
    assert names == {"tuning", "tuning_budget", "tuning_bce", "tuning_dice"}


@pytest.mark.parametrize("resample", [True, False])
def test_the_report_says_where_every_seed_has_training_images_of_its_own(here: Path, resample: bool) -> None:
    plan = results(here, losses=("bce", "dice"))
    train = plan.params.train.model_copy(update={"resample": resample})
    report_page.write(plan.model_copy(update={"params": plan.params.model_copy(update={"train": train})}))
    said = "Every seed draws its own training images" in paths.REPORT.read_text(encoding="utf-8")
    assert said == resample


def test_a_table_of_tuning_that_is_none_is_named(here: Path) -> None:
    plan = results(here)
    plan = plan.model_copy(update={"params": plan.params.model_copy(update={"tune": Tune(trials=2)})})
    with pytest.raises(InputError, match=r"tune/shapes/unet/bce/chosen\.json: not found; run `dvc repro`"):
        report_page.write(plan)
    folder = paths.TUNE / "shapes/unet/bce"
    tuning_table.write(folder, [Tried(1, "sgd", 0.1, 0, 0, "{}", 10, 0.5)], [], {})
    table = folder / "trials.csv"
    table.write_text(table.read_text().replace("0.1", "high"))
    with pytest.raises(InputError, match=r"tune/shapes/unet/bce/trials\.csv: damaged \(could not convert"):
        report_page.write(plan)


def test_the_stage_needs_no_torch() -> None:
    """It would cost seconds, and a change to a network would draw the report again."""
    script = "import sys, pipeline.report; sys.exit('torch' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", script], cwd=ROOT).returncode == 0


def test_a_loss_that_is_trained_otherwise_says_so_in_every_table(here: Path) -> None:
    plan = results(here)
    plan.params.losses["dice"]["train"] = {"lr": 0.5, "epochs": None}
    report_page.write(plan)
    text = (here / "results/report.html").read_text(encoding="utf-8")
    assert "): dice with lr 0.5. With these it is recipes that are compared." in text
    rows = re.findall(r'<th scope="row">(?:(?!</th>).)*dice(?:(?!</th>).)*</th>', text)
    rows = [row for row in rows if "train: " not in row]
    assert len(rows) > 1
    assert all('<span class="soft">(lr 0.5)</span>' in row for row in rows)
