"""Owns the browser of the tests: headless, with a fresh profile, and told to ask nobody for anything."""

import shutil
from collections.abc import Iterator

import pytest
import toy
from commandline import call
from selenium import webdriver
from selenium.webdriver.chrome.service import Service

ALONE = (
    *("--headless=new", "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run", "--disable-background-networking"),
    *("--disable-component-update", "--disable-sync", "--disable-dev-shm-usage"),
)
SWEEP = """# Does <b>distance</b> of seeds cost accuracy?
zoo: {arch: net, dataset: d, seeds: 0..3}
pairs: [[0, 1], [1, 2], [2, 3], [3, 0], [0, 2], [1, 3]]
layers: relu
cases: {lin: {}, low: {stitcher: lowrank, rank: [1, 2]}}
grid: {seed: [0, 1]}
"""


@pytest.fixture(scope="session")
def project(tmp_path_factory):
    """A toy project whose sweep `stitches` is complete."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("repsim.catalog._ask", toy.sheet)
        patch.setenv("PATH", "/usr/bin/nowhere")
        made = toy.make(tmp_path_factory.mktemp("browsed") / "project")
        toy.run(made, toy.sweep(made, SWEEP, "stitches"))
        patch.chdir(made.root)
        assert call("results", "report", "stitches").code == 0
    return made


@pytest.fixture(scope="session")
def driver(tmp_path_factory) -> Iterator[webdriver.Chrome]:
    """One browser for all tests; it logs every request and every message of the console."""
    options = webdriver.ChromeOptions()
    for word in (*ALONE, f"--user-data-dir={tmp_path_factory.mktemp('profile')}"):
        options.add_argument(word)
    options.binary_location = str(shutil.which("chromium"))
    options.set_capability("goog:loggingPrefs", {"browser": "ALL", "performance": "ALL"})
    made = webdriver.Chrome(options=options, service=Service(str(shutil.which("chromedriver"))))
    yield made
    made.quit()
