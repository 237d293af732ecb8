"""A real Airflow with a little corpus to make, and Chromium to look at it."""

from __future__ import annotations

import os
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest
from playwright.sync_api import Browser, Page, expect, sync_playwright

from deploy.common.airflow_api import AirflowApi
from deploy.local.embedded.command import configure
from deploy.local.embedded.environment import REPO
from deploy.local.embedded.server import EmbeddedAirflow
from tests.support import launchers

SCREENSHOTS = Path(os.environ.get("SCREENSHOTS", REPO / ".work" / "screenshots")).absolute()
CHROMIUM = "/usr/bin/chromium"
FLAGS = [
    "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run", "--disable-sync",
    "--disable-background-networking", "--disable-component-update",
]  # fmt: skip
# Generous: a page may be slow where the same machine runs an update at the same time.
PATIENCE_MS = 60_000


@dataclass(frozen=True)
class Site:
    """The Airflow under test: its address, its password, its API, and the folder it takes from."""

    url: str
    password: str
    api: AirflowApi
    samples: Path
    root: Path
    spare: Path


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    for item in items:
        item.add_marker(pytest.mark.browser)


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    terminalreporter.write_line(f"Screenshots: {SCREENSHOTS}")


# All end with the last test of their module: others go on in the same process.
@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Site]:
    work = tmp_path_factory.mktemp("work")
    samples, spare, verdicts = work / "samples", work / "spare.exe", work / "verdicts.csv"
    files = launchers.samples(samples)
    launchers.verdicts(files, verdicts)
    # One is kept back, to be new later.
    files[0].rename(spare)
    airflow = EmbeddedAirflow(work)
    root = configure(airflow, str(samples), str(verdicts))
    with airflow.config.open("a") as config:
        config.write("\n[shards]\nmax_files = 5\n")  # three tasks where a real corpus has hundreds
    try:
        running = airflow.start()
        api = AirflowApi(running.url, "admin", airflow.password())
        api.wait_for_dag("corpus_update")
        api.wait_for_dag("corpus_publish")
        yield Site(running.url, airflow.password(), api, samples, root, spare)
    finally:
        airflow.stop()


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    expect.set_options(timeout=PATIENCE_MS)
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=CHROMIUM, args=FLAGS)
        yield browser
        browser.close()


@pytest.fixture(scope="module")
def page(browser: Browser, site: Site) -> Page:
    """A page of the user `admin`, who logs in as a person does."""
    context = browser.new_context(
        viewport={"width": 1600, "height": 1000}, base_url=site.url, color_scheme="light"
    )
    page = context.new_page()
    page.set_default_timeout(PATIENCE_MS)
    page.goto("/")
    page.fill("input[name=username]", "admin")
    page.fill("input[name=password]", site.password)
    page.click("button[type=submit]")
    expect(page.get_by_role("link", name="Dags", exact=True)).to_be_visible()
    return page


@pytest.fixture(scope="session", autouse=True)
def screenshots() -> Path:
    SCREENSHOTS.mkdir(parents=True, exist_ok=True)
    return SCREENSHOTS
