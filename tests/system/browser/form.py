"""The trigger form of a DAG, as a person uses it."""

from __future__ import annotations

import time
from urllib.parse import unquote

from playwright.sync_api import Locator, Page, expect

from deploy.common.airflow_api import AirflowApi
from deploy.local.follow import ENDED


class TriggerForm:
    """Opens the form of a DAG; going to another page closes it."""

    def __init__(self, page: Page, dag_id: str):
        self.page = page
        page.goto(f"/dags/{dag_id}")
        page.get_by_role("button", name="Trigger Dag").click()
        self.dialog = page.get_by_role("dialog")
        expect(self.dialog.get_by_role("button", name="Advanced Options")).to_be_visible()

    def open(self, section: str) -> None:
        """Unfold a section; Airflow folds the one that was open."""
        button = self.dialog.get_by_role("button", name=section, exact=True)
        if button.get_attribute("aria-expanded") != "true":
            button.click()
        expect(button).to_have_attribute("aria-expanded", "true")

    def field(self, name: str) -> Locator:
        return self.dialog.locator(f"[name=element_{name}]")

    def fill(self, name: str, value: str) -> str:
        """Fill a field and leave it; returns what the form made of the value."""
        field = self.field(name)
        expect(field).to_be_visible()
        field.fill(value)
        field.blur()
        return field.input_value()

    def choose(self, name: str, option: str) -> None:
        """Take an option of a select or a multi-select."""
        self.dialog.locator(f"#element_{name}").click()
        self.page.get_by_role("option", name=option).click()

    def submit(self) -> None:
        self.dialog.get_by_role("button", name="Trigger", exact=True).click()

    def trigger(self) -> str:
        """Submit what is filled in; returns the run id that the page then shows."""
        self.submit()
        self.page.wait_for_url("**/runs/**")
        return unquote(self.page.url.split("/runs/")[1].split("?")[0])


def wait(api: AirflowApi, dag_id: str, run_id: str, seconds: float = 240) -> str:
    """Wait until a run has ended; returns its state."""
    deadline = time.monotonic() + seconds
    while (state := api.run_state(dag_id, run_id)) not in ENDED:
        assert time.monotonic() < deadline, f"{run_id} of {dag_id} is {state} after {seconds:.0f} s"
        time.sleep(0.5)
    return state
