"""What a data scientist does in Airflow's UI, done in Chromium: from the form to the data card."""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from playwright.sync_api import Browser, Page, expect

from corpus.store.object_store import Store
from corpus.store.snapshots import Snapshot
from tests.system.browser.conftest import Site
from tests.system.browser.form import TriggerForm, wait

DAG = "corpus_update"
NOTE = "Weekly refresh <script>document.title = 'owned'</script><img src=x onerror=alert(1)>"


@dataclass(frozen=True)
class Published:
    run_id: str
    snapshot: str
    manifest: dict[str, Any]


@pytest.fixture(scope="module")
def published(page: Page, site: Site, screenshots: Path) -> Published:
    """An update asked for in the form."""
    form = TriggerForm(page, DAG)
    form.open("What to take")
    form.fill("limit", "100")
    form.choose("file_types", "Windows (PE)")
    page.screenshot(path=screenshots / "form-what-to-take.png")
    form.open("Features and labels")
    form.fill("malicious_threshold", "7")
    page.screenshot(path=screenshots / "form-features-and-labels.png")
    form.open("Publishing")
    form.fill("note", NOTE)
    page.screenshot(path=screenshots / "form-publishing.png")
    run_id = form.trigger()
    assert wait(site.api, DAG, run_id) == "success"
    snapshot = Snapshot.open(Store(site.root))
    return Published(run_id, snapshot.id, snapshot.manifest)


def test_the_page_of_the_dag_says_what_to_do(page: Page, screenshots: Path) -> None:
    page.goto(f"/dags/{DAG}")
    page.get_by_role("button", name="Dag Docs").click()
    docs = page.get_by_role("dialog")
    expect(docs).to_contain_text("publishes it as an immutable snapshot")
    expect(docs.get_by_role("row", name="validate")).to_contain_text("raise the threshold")
    page.screenshot(path=screenshots / "docs.png")


def test_no_field_looks_required_that_may_be_left_empty(page: Page) -> None:
    form = TriggerForm(page, DAG)
    for section in ("What to take", "Features and labels", "Publishing"):
        form.open(section)
    assert form.dialog.locator("label:has-text('*')").all_inner_texts() == ["How far to go\n*"]


def test_the_form_refuses_a_malformed_date(page: Page, site: Site, screenshots: Path) -> None:
    form = TriggerForm(page, DAG)
    form.open("What to take")
    field = form.field("since")
    field.click()
    # One digit too many, typed as a person does: the browser takes it for the year 52024.
    page.keyboard.type("120452024")
    assert field.input_value() == "52024-12-04"
    form.submit()
    refusal = form.dialog.get_by_text("since: '52024-12-04' is not a 'date'")
    refusal.scroll_into_view_if_needed()
    page.screenshot(path=screenshots / "form-refused.png")
    assert "/runs/" not in page.url


def test_the_form_refuses_to_take_less_than_no_file(page: Page) -> None:
    form = TriggerForm(page, DAG)
    form.open("What to take")
    assert form.fill("limit", "-5") == "0"
    # Past the field, straight into what is sent.
    form.open("Advanced Options")
    form.dialog.locator(".view-lines").last.click()
    page.keyboard.press("Control+A")
    page.keyboard.insert_text('{"limit": -1}')
    page.keyboard.press("Control+Shift+End")  # the brackets that the editor adds
    page.keyboard.press("Delete")
    expect(form.dialog.locator(".view-lines").last).to_have_text('{"limit": -1}')
    form.submit()
    expect(form.dialog).to_contain_text("limit: -1 is less than the minimum of 0")


def test_the_run_shows_as_a_graph(page: Page, published: Published, screenshots: Path) -> None:
    page.goto(f"/dags/{DAG}/runs/{published.run_id}")
    page.get_by_role("button", name="Show Graph").click()
    page.get_by_role("button", name="Collapse Details Panel").click()
    page.set_viewport_size({"width": 1600, "height": 640})
    nodes = page.locator(".react-flow__node")
    expect(nodes).to_have_count(9)
    expect(nodes.filter(has_text="success")).to_have_count(9)
    page.get_by_role("button", name="Fit View").click()
    page.mouse.move(800, 600)
    page.wait_for_timeout(1_000)  # the view glides there
    page.screenshot(path=screenshots / "graph.png")
    page.set_viewport_size({"width": 1600, "height": 1000})
    page.get_by_role("button", name="Show Grid").click()
    page.get_by_role("button", name="Show Details Panel").click()


def test_the_link_of_publish_leads_to_the_data_card(
    page: Page, published: Published, site: Site, screenshots: Path
) -> None:
    page.goto(f"/dags/{DAG}/runs/{published.run_id}")
    # The grid links the task in all runs by the same name, and its page has the same tabs.
    page.locator('a[href*="/runs/"][href$="/tasks/publish"]').last.click()
    page.wait_for_url("**/runs/*/tasks/publish")
    page.locator('a[href$="/tasks/publish/details"]').click()
    link = page.get_by_role("link", name="Data card")
    expect(link).to_be_visible()
    page.screenshot(path=screenshots / "publish-details.png")
    link.click()
    page.wait_for_url(f"**/corpus/cards/{published.snapshot}/")
    manifest = published.manifest

    expect(page.get_by_role("heading", level=1)).to_have_text(published.snapshot)
    assert manifest["counts"]["samples"] == 11
    expect(page.locator(".tile.lead")).to_have_text("11samples")
    for label, number in manifest["counts"]["labels"].items():
        expect(page.locator(f".tile.{label}")).to_contain_text(str(number))
    expect(page.locator("body")).to_contain_text(manifest["content_digest"])
    plots = page.locator("figure .plot svg")
    assert plots.count() >= 4
    for plot in plots.all():
        box = plot.bounding_box()
        assert box is not None
        assert box["width"] > 300
        assert box["height"] > 100
    page.screenshot(path=screenshots / "card.png", full_page=True)


def test_a_note_is_shown_and_never_run(page: Page, published: Published, screenshots: Path) -> None:
    # The page before it may still ask for something.
    page.goto("about:blank")
    asked: list[str] = []
    page.on("request", lambda request: asked.append(request.url))
    page.goto(f"/corpus/cards/{published.snapshot}/")
    expect(page.locator(".note")).to_have_text(NOTE)
    assert published.manifest["note"] == NOTE
    assert published.snapshot in page.title()
    assert page.locator("script, img").count() == 0
    # The card needs nothing but itself.
    assert [url for url in asked if "/corpus/cards/" not in url] == []


def test_a_card_is_readable_in_the_dark(
    page: Page, published: Published, screenshots: Path
) -> None:
    page.goto(f"/corpus/cards/{published.snapshot}/")
    page.emulate_media(color_scheme="dark")
    red, green, blue = map(
        int,
        re.findall(r"\d+", page.evaluate("getComputedStyle(document.body).backgroundColor"))[:3],
    )
    page.screenshot(path=screenshots / "card-dark.png")
    page.emulate_media(color_scheme="light")
    assert max(red, green, blue) < 64


def test_a_stranger_gets_no_card(browser: Browser, published: Published, site: Site) -> None:
    context = browser.new_context(base_url=site.url)
    stranger = context.new_page()
    for path in (f"/corpus/cards/{published.snapshot}/", "/corpus/cards/x/", "/corpus/docs"):
        answer = stranger.goto(path)
        assert answer is not None
        assert answer.status in (401, 403, 404)
        assert published.snapshot not in stranger.content()
    answer = stranger.goto(f"/corpus/cards/{published.snapshot}/")
    assert answer is not None
    assert answer.status == 401
    context.close()


def test_a_service_alone_has_a_form_of_its_own(
    page: Page, published: Published, site: Site, screenshots: Path
) -> None:
    form = TriggerForm(page, "corpus_label")
    form.open("Run Parameters")
    for title, words in (
        ("Update", "Id of the update to work in"),
        ("Relabel", "Resolve all samples again"),
    ):
        group = form.dialog.get_by_role("group").filter(has=page.get_by_text(title, exact=True))
        expect(group.last).to_contain_text(words)
    page.screenshot(path=screenshots / "form-corpus_label.png")
    run_id = form.trigger()
    assert wait(site.api, "corpus_label", run_id) == "success"


def test_an_update_staged_today_is_published_another_day(
    page: Page, published: Published, site: Site, screenshots: Path
) -> None:
    site.spare.rename(site.samples / site.spare.name)
    form = TriggerForm(page, DAG)
    form.open("Publishing")
    form.choose("mode", "Stage only")
    staged = form.trigger()
    assert wait(site.api, DAG, staged) == "success"
    assert Snapshot.open(Store(site.root)).id == published.snapshot
    validate = next(task for task in site.api.tasks(DAG, staged) if task["task_id"] == "validate")
    log = "\n".join(site.api.log(DAG, staged, validate))
    found = re.search(r"--update=(\S+)", log)
    assert found, log
    update = found[1]

    form = TriggerForm(page, "corpus_publish")
    form.open("Run Parameters")
    form.fill("update", update)
    form.fill("note", "One more launcher")
    page.screenshot(path=screenshots / "form-corpus_publish.png")
    run_id = form.trigger()
    assert wait(site.api, "corpus_publish", run_id) == "success"
    second = Snapshot.open(Store(site.root))
    assert (second.id, second.sequence) == (update, 2)
    assert second.manifest["parent"] == published.snapshot
    assert second.manifest["counts"]["samples"] == 12
    page.goto(f"/corpus/cards/{second.id}/")
    expect(page.locator(".note")).to_have_text("One more launcher")
    page.screenshot(path=screenshots / "card-second.png", full_page=True)


@pytest.mark.parametrize(
    ("name", "body", "told"),
    [
        ("future", {"logical_date": "2099-01-01T00:00:00Z"}, "is in the future"),
        ("unknown-key", {"conf": {"limits": 2**70}}, "Did you mean limit?"),
    ],
)
def test_a_run_that_was_refused_says_why_and_holds_nobody_up(
    name: str, body: dict[str, Any], told: str, page: Page, site: Site, screenshots: Path
) -> None:
    body = {"logical_date": None, **body}
    site.api.call("PATCH", f"dags/{DAG}", json={"is_paused": False})
    run_id = site.api.call("POST", f"dags/{DAG}/dagRuns", json=body)["dag_run_id"]
    assert wait(site.api, DAG, run_id) == "failed"
    assert {task["state"] for task in site.api.tasks(DAG, run_id)} == {None}
    page.goto(f"/dags/{DAG}/runs/{run_id}")
    expect(page.get_by_text(told).first).to_be_visible()
    page.screenshot(path=screenshots / f"run-refused-{name}.png")


def test_a_whole_number_may_be_written_with_a_point(site: Site) -> None:
    body = {"logical_date": None, "conf": {"limit": 1.0}}
    run_id = site.api.call("POST", "dags/corpus_collect/dagRuns", json=body)["dag_run_id"]
    site.api.call("PATCH", "dags/corpus_collect", json={"is_paused": False})
    assert wait(site.api, "corpus_collect", run_id) == "success"
    (task,) = site.api.tasks("corpus_collect", run_id)
    log = "\n".join(site.api.log("corpus_collect", run_id, task))
    assert re.search(r"--limit=1$", log, re.MULTILINE), log
