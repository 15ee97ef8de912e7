"""Take the README's picture of MLflow: `python docs/picture_of_mlflow.py` where mlflow.db is, after `dvc repro`.

Writes docs/mlflow.png. Needs Chromium and its chromedriver.
"""

import argparse
import io
import shutil
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import urllib3
from PIL import Image
from selenium import webdriver
from selenium.common.exceptions import WebDriverException
from selenium.webdriver.chrome.service import Service
from selenium.webdriver.common.action_chains import ActionChains
from selenium.webdriver.common.by import By
from selenium.webdriver.remote.webelement import WebElement

DOCS = Path(__file__).parent
FLAGS = (
    "--headless=new --no-sandbox --disable-gpu --disable-background-networking --disable-component-update "
    "--disable-sync --no-first-run --hide-scrollbars"
)
PATIENCE = 180  # seconds; the first start on a busy machine takes more than one


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--dataset", default="shapes", help="whose runs are shown")
    arguments = parser.parse_args()
    with mlflow_server(Path("mlflow.db")) as url, chromium(1600, 1000) as browser:
        mlflow_runs(browser, url, arguments.dataset)
        save(browser, DOCS / "mlflow.png")


def mlflow_runs(browser: webdriver.Chrome, url: str, dataset: str) -> None:
    """Charts of mIoU, runs grouped by loss."""
    where, fields = f"{url}/api/2.0/mlflow/experiments/get-by-name", {"experiment_name": dataset}
    experiment = urllib3.request("GET", where, fields=fields, timeout=PATIENCE).json()["experiment"]["experiment_id"]
    browser.get(f"{url}/#/experiments/{experiment}/runs?compareRunsMode=CHART&workflowType=machine_learning")
    click(browser, "button", lambda element: element.get_attribute("aria-label") == "Close")  # the assistant
    click(browser, "button", lambda element: element.text == "Group by")
    click(browser, "[role=menuitemcheckbox]", lambda element: element.text == "loss")
    search = wanted(browser, "input", lambda element: "metric charts" in (element.get_attribute("placeholder") or ""))
    search.send_keys("val_miou")  # of the test set there are more than a screen holds
    wanted(browser, "body", lambda element: "Group: " in element.text and element.text.count("val_miou") >= 2)
    ActionChains(browser).move_by_offset(800, 30).perform()  # off the list, where it fades the other groups
    time.sleep(5)  # the charts are drawn after they are there


def wanted(browser: webdriver.Chrome, css: str, which: Callable[[WebElement], bool]) -> WebElement:
    """The first element that `which` is true of, waited for."""
    end = time.monotonic() + PATIENCE
    while time.monotonic() < end:
        try:
            for element in browser.find_elements(By.CSS_SELECTOR, css):
                if which(element):
                    return element
        except WebDriverException:  # the page was drawn anew meanwhile
            pass
        time.sleep(0.2)
    sys.exit(f"error: no {css} as it is looked for; has the page changed?")


def click(browser: webdriver.Chrome, css: str, which: Callable[[WebElement], bool]) -> None:
    """Click it once it is there, and again if the page was drawn anew between the two."""
    end = time.monotonic() + PATIENCE
    while True:
        try:
            wanted(browser, css, which).click()
            return
        except WebDriverException:
            if time.monotonic() > end:
                raise


def save(browser: webdriver.Chrome, path: Path) -> None:
    """The window as a PNG of 256 colours, a quarter of the size."""
    image = Image.open(io.BytesIO(browser.get_screenshot_as_png())).convert("RGB")
    image.quantize(256, dither=Image.Dither.NONE).save(path, optimize=True)
    print(f"{path}: {image.width}×{image.height}, {path.stat().st_size // 1000} kB")


@contextmanager
def chromium(width: int, height: int) -> Iterator[webdriver.Chrome]:
    """A browser with a profile of its own."""
    programs = [shutil.which(name) for name in ("chromium", "chromedriver")]
    if None in programs:
        sys.exit("error: chromium and chromedriver are needed")
    with tempfile.TemporaryDirectory(ignore_cleanup_errors=True) as profile:
        options = webdriver.ChromeOptions()
        options.binary_location = str(programs[0])
        for flag in (*FLAGS.split(), f"--window-size={width},{height}", f"--user-data-dir={profile}"):
            options.add_argument(flag)
        browser = webdriver.Chrome(options, Service(str(programs[1])))
        try:
            browser.set_page_load_timeout(PATIENCE)
            yield browser
        finally:
            browser.quit()


@contextmanager
def mlflow_server(database: Path) -> Iterator[str]:
    """MLflow's pages on loopback, of a copy of the database."""
    if not database.is_file():
        sys.exit(f"error: {database}: not found; run `make track`")
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    with tempfile.TemporaryDirectory() as folder:
        copy = shutil.copy(database, folder)
        command = [sys.executable, "-m", "mlflow", "server", "--backend-store-uri", f"sqlite:///{copy}"]
        command += ["--host", "127.0.0.1", "--port", str(port), "--workers", "1"]
        server = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, start_new_session=True)
        try:
            url = f"http://127.0.0.1:{port}"
            wait_for_server(url, server)
            yield url
        finally:
            subprocess.run(["kill", "--", f"-{server.pid}"])  # its workers too
            server.wait()


def wait_for_server(url: str, server: subprocess.Popen[bytes]) -> None:
    """Return once the server answers."""
    end = time.monotonic() + PATIENCE
    while time.monotonic() < end and server.poll() is None:
        try:
            urllib3.request("GET", f"{url}/health", timeout=PATIENCE, retries=False)
            return
        except urllib3.exceptions.HTTPError:
            time.sleep(0.2)
    sys.exit("error: the MLflow server does not start")


if __name__ == "__main__":
    main()
