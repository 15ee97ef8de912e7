"""Take the README's pictures of the report: `python docs/pictures_of_report.py [results/report.html]`, with Chromium.

The pictures are of the first data set with the first network: the answer with its leaderboard (`report.png`), the
image browser (`report_images.png`).
"""

import base64
import io
import shutil
import sys
import tempfile
from pathlib import Path

from PIL import Image
from selenium import webdriver
from selenium.webdriver.chrome.service import Service
from selenium.webdriver.common.by import By
from selenium.webdriver.common.keys import Keys
from selenium.webdriver.support.ui import WebDriverWait

REDUCED = "--force-prefers-reduced-motion"  # or a click meets the page while it scrolls
WIDTH, HEIGHT, SCALE = 1200, 1000, 1.5
STEPS = 9
"""Images after the most disputed one: the first with several objects that tells the losses apart."""


def main(page: Path) -> None:
    options = webdriver.ChromeOptions()
    options.binary_location = next(filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))))
    with tempfile.TemporaryDirectory() as profile:
        for flag in ("--headless=new", "--no-sandbox", "--disable-gpu", "--hide-scrollbars", "--no-first-run", REDUCED):
            options.add_argument(flag)
        options.add_argument(f"--user-data-dir={profile}")
        driver = webdriver.Chrome(options=options, service=Service(shutil.which("chromedriver")))
        try:
            take(driver, page)
        finally:
            driver.quit()


def take(driver: webdriver.Chrome, page: Path) -> None:
    """Open the page and take both pictures."""
    driver.execute_cdp_cmd(
        "Emulation.setDeviceMetricsOverride",
        {"width": WIDTH, "height": HEIGHT, "deviceScaleFactor": SCALE, "mobile": False},
    )
    driver.get(page.resolve().as_uri())
    browsers = driver.find_elements(By.CSS_SELECTOR, ".browser")
    figures = driver.find_element(By.CSS_SELECTOR, ".figures").rect
    save(driver, {"x": 0, "y": 0, "width": WIDTH, "height": figures["y"] + figures["height"]}, "report.png")
    if browsers:
        browser = browsers[0]
        WebDriverWait(driver, 20).until(lambda _: browser.get_attribute("data-image") is not None)
        driver.find_element(By.CSS_SELECTOR, ".stage").send_keys(Keys.ARROW_RIGHT * STEPS)
        WebDriverWait(driver, 20).until(lambda _: f". {STEPS + 1} of" in browser.text)
        WebDriverWait(driver, 20).until(lambda _: f"Image {browser.get_attribute('data-image')}:" in browser.text)
        save(driver, browser.rect, "report_images.png")


def save(driver: webdriver.Chrome, box: dict[str, float], name: str) -> None:
    """Save a part of the page, in 256 colours, which a page of text and lines does with."""
    clip = box | {"scale": 1}
    shot = driver.execute_cdp_cmd("Page.captureScreenshot", {"captureBeyondViewport": True, "clip": clip})
    picture = Image.open(io.BytesIO(base64.b64decode(shot["data"]))).convert("RGB")
    few = picture.quantize(256, Image.Quantize.MAXCOVERAGE, dither=Image.Dither.NONE)
    few.save(Path(__file__).parent / name, optimize=True)


if __name__ == "__main__":
    main(Path(sys.argv[1] if len(sys.argv) > 1 else "results/report.html"))
