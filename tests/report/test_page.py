"""The report as its readers open it: a file in a browser, without a network."""

import json
import shutil
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from projects import ROOT
from report_world import HOSTILE, results
from selenium import webdriver
from selenium.webdriver.chrome.service import Service
from selenium.webdriver.common.by import By
from selenium.webdriver.common.keys import Keys
from selenium.webdriver.support.ui import Select, WebDriverWait

from losslab import report
from losslab.comparison.leaderboard import Row
from losslab.errors import InputError
from losslab.report import dataset
from losslab.report.answer import answer, seeds_needed
from losslab.report.captions import pictures
from losslab.report.image_atlas import browser
from losslab.results import runs, scores

CHROMIUM = next(filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))), None)
CHROMEDRIVER = shutil.which("chromedriver")
FLAGS = (
    "--headless=new", "--no-sandbox", "--disable-gpu", "--disable-background-networking", "--no-first-run",
    "--disable-component-update", "--disable-sync", "--window-size=1280,900", "--force-prefers-reduced-motion",
)  # fmt: skip


@pytest.fixture
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An empty working folder."""
    monkeypatch.chdir(tmp_path)
    return tmp_path


@pytest.fixture(scope="module")
def written(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with results and their report."""
    root = tmp_path_factory.mktemp("written")
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(root)
        report.write(results(root), runs.RESULTS)
    return root


@pytest.fixture(scope="module")
def chromium(tmp_path_factory: pytest.TempPathFactory) -> Iterator[webdriver.Chrome]:
    if not CHROMIUM or not CHROMEDRIVER:
        pytest.skip("no Chromium with chromedriver on this machine; `make browser` installs them where it may")
    options = webdriver.ChromeOptions()
    options.binary_location = CHROMIUM
    for flag in (*FLAGS, f"--user-data-dir={tmp_path_factory.mktemp('profile')}"):
        options.add_argument(flag)
    options.set_capability("goog:loggingPrefs", {"browser": "ALL", "performance": "ALL"})
    driver = webdriver.Chrome(options=options, service=Service(CHROMEDRIVER))
    yield driver
    driver.quit()


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
    tables = [scores.read(written / f"results/scores/shapes/{loss}.csv") for loss in ("bce", "dice", "mse")]
    dice = [dataset.image_dice(table.counts["tuned"])[0] for table in tables]
    expected = sum(max(d[i] for d in dice) - min(d[i] for d in dice) >= 0.25 for i in range(12))
    assert 0 < expected < 12
    assert f"of {expected}." in page.find_element(By.CSS_SELECTOR, ".position").text


def test_the_canvas_shows_every_pixel_as_the_scores_count_it(page: webdriver.Chrome, written: Path) -> None:
    Select(page.find_element(By.NAME, "order")).select_by_value("stored")
    Select(page.find_element(By.NAME, "seed")).select_by_value("1")
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
        table = scores.read(written / f"results/scores/shapes/{loss}.csv")
        tp, fp, fn, _ = table.counts["tuned"][1, 5].sum(axis=0)
        found = [shown[loss].get(colour, 0) for colour in ("0,158,115", "204,40,120", "230,159,0")]
        assert found == [tp, fp, fn]


def test_names_from_the_data_are_only_words(page: webdriver.Chrome) -> None:
    assert page.execute_script("return window.hacked") is None
    assert page.find_elements(By.CSS_SELECTOR, "img[src='x']") == []
    assert HOSTILE in [cell.text for cell in page.find_elements(By.CSS_SELECTOR, "tbody th")]
    assert HOSTILE in [option.text for option in Select(page.find_element(By.NAME, "class")).options]


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_a_phone_needs_no_sideways_scroll_and_text_stands_out(page: webdriver.Chrome, scheme: str) -> None:
    page.execute_cdp_cmd(
        "Emulation.setDeviceMetricsOverride", {"width": 360, "height": 700, "deviceScaleFactor": 2, "mobile": True}
    )
    media = {"features": [{"name": "prefers-color-scheme", "value": scheme}]}
    page.execute_cdp_cmd("Emulation.setEmulatedMedia", media)
    try:
        page.execute_script("document.querySelectorAll('details').forEach((d) => (d.open = true))")
        assert page.execute_script("return document.documentElement.scrollWidth") == 360
        style = "const s = getComputedStyle(document.querySelector(arguments[0])); return [s.color, s.backgroundColor]"
        ground = page.execute_script(style, "body")[1]
        for text in ("body", ".note", "nav a", "thead button", "figcaption"):
            assert contrast(page.execute_script(style, text)[0], ground) >= 4.5, text
    finally:
        page.execute_cdp_cmd("Emulation.clearDeviceMetricsOverride", {})
        page.execute_cdp_cmd("Emulation.setEmulatedMedia", {"features": []})


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
    shutil.copytree(written, here, dirs_exist_ok=True)
    report.write(report_params(here), runs.RESULTS)
    files = [path.relative_to(here) for path in (here / "results").rglob("*") if path.is_file()]
    assert {path.suffix for path in files} >= {".png", ".svg", ".html"}
    assert [path for path in files if (here / path).read_bytes() != (written / path).read_bytes()] == []


def report_params(root: Path) -> Any:
    from losslab.settings import params

    return params.load(root / "params.yaml")


@pytest.mark.parametrize(
    ("world", "says"),
    [
        ({"losses": ["bce"], "seeds": [5], "classes": ["disk"], "images": 1}, "bce is the only loss of the grid"),
        ({"classes": [f"class {c}" for c in range(21)], "diverged": ["bce"]}, "every seed diverged: bce."),
        ({"diverged": ["bce", "dice", "mse"]}, "Every run diverged: there is nothing to compare."),
    ],
)
def test_the_page_stands_whatever_is_lacking(here: Path, world: dict[str, Any], says: str) -> None:
    settings = results(here, **world)
    report.write(settings, runs.RESULTS)
    assert says in (here / "results/report.html").read_text()


def test_what_another_stage_should_have_left_is_named(here: Path) -> None:
    settings = results(here)
    (here / "results/analysis.json").unlink()
    with pytest.raises(InputError, match=r"results/analysis\.json: missing or damaged .*run `dvc repro`"):
        report.write(settings, runs.RESULTS)


def test_a_table_of_tuning_that_is_none_is_named(here: Path) -> None:
    settings = results(here)
    path = runs.tuning_file("shapes", "bce")
    path.parent.mkdir()
    path.write_text("optimizer,lr,momentum,images,seed,epoch,val_loss\nsgd,0.1,0,8,0,1,low\n")
    with pytest.raises(InputError, match=r"shapes-bce\.csv: not a table of `python -m losslab tune`"):
        report.write(settings, runs.RESULTS)


def test_a_loss_scored_on_other_images_is_left_out_of_what_compares_images(here: Path) -> None:
    settings = results(here)
    path = here / "results/scores/shapes/dice.csv"
    path.write_text(path.read_text().replace("test3", "test99"))
    found = dataset.read(settings, "shapes", runs.RESULTS)
    shown = browser(found, 10**6)
    assert shown is not None
    assert [loss["name"] for loss in shown["losses"]] == ["bce", "mse"]
    assert "images_disagree" in {picture.name for picture in pictures(found, 3)}


def test_a_browser_over_its_budget_takes_one_seed_then_fewer_images(here: Path) -> None:
    found = dataset.read(results(here), "shapes", runs.RESULTS)
    whole = browser(found, 10**6)
    assert whole is not None
    assert [len(loss["seeds"]) for loss in whole["losses"]] == [3, 3, 3]
    size = sum(len(mask) for loss in whole["losses"] for seed in loss["seeds"] for mask in seed["masks"])
    less = browser(found, size // 2)
    assert less is not None
    assert [len(loss["seeds"]) for loss in less["losses"]] == [1, 1, 1]
    least = browser(found, 1000)
    assert least is not None
    assert len(least["ids"]) < least["total"] == 12


def test_the_answer_claims_what_the_verdict_bears(here: Path) -> None:
    found = dataset.read(results(here), "shapes", runs.RESULTS)
    won = Row("shapes", "dice", "miou", "tuned", 0.75, 0.7, 0.8, 8, 12, 0.162, 0.131, 0.185, 0.008, 0.016, "better")
    base = Row("shapes", "bce", "miou", "tuned", 0.588, 0.55, 0.6, 8, 12, verdict="baseline")

    def said(**of_first: Any) -> str:
        return answer(replace(found, board=[replace(won, **of_first), base]), 0.95).sentence

    by = "16.2 mIoU points above the baseline bce (95 % interval +13.1 to +18.5)"
    assert said() == f"Train with dice: {by}."
    assert said(verdict="n too small", seeds=3) == (
        f"dice comes first, {by}; 3 seeds are too few to call that significant."
    )
    assert said(verdict="n too small", seeds=1).endswith("one seed is too few to call that significant.")
    assert said(verdict="no difference shown") == (f"No difference to the baseline is shown: dice comes first, {by}.")
    swapped = answer(replace(found, board=[base, replace(won, mean=0.5)]), 0.95)
    assert swapped.sentence == "No loss is better than the baseline bce; the next, dice, is 8.8 points below."
    unsure = answer(replace(found, board=[won, base], analysis={"best_probability": {"dice": 0.7}}), 0.95)
    assert "The probability that it is the best of the 2 is 70 %, so the order" in unsure.detail
    assert [seeds_needed(tests, 0.95) for tests in (1, 2, 5)] == [6, 7, 8], "2/2ⁿ · tests is at most 0.05"


def test_the_stage_needs_no_torch() -> None:
    """It would cost seconds, and a change to a network would draw the report again."""
    script = "import sys, pipeline.report; sys.exit('torch' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", script], cwd=ROOT).returncode == 0
