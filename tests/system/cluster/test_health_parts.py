"""The health of scheduler, DAG processor, triggerer and API server, with a real database; and users' way by nginx.

The address that users type has a path here, which nothing else knows.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from urllib.parse import urlsplit

import httpx
import pytest

from deploy.common.ports import free_port
from deploy.local.cluster.compose import docker
from deploy.local.cluster.workers import CHECK
from tests.system.cluster.harness_faults import signal
from tests.system.cluster.health_stack import OWN_CODE
from tests.system.cluster.nginx import client, nginx
from tests.system.cluster.users_stack import PASSWORDS, SNAPSHOT, UsersStack

# Bringing the parts up takes minutes on a busy machine.
pytestmark = pytest.mark.timeout(600)

# Of nginx.
PORT = free_port()
BASE = "/airflow"
FAB = "airflow.providers.fab.auth_manager.fab_auth_manager.FabAuthManager"
JOBS = {
    "scheduler": ("airflow", "scheduler"),
    "dag-processor": ("airflow", "dag-processor"),
    "triggerer": ("airflow", "triggerer", "--skip-serve-logs"),
}


@pytest.fixture(scope="module")
def stack(engine: None, tmp_path_factory: pytest.TempPathFactory) -> Iterator[UsersStack]:
    made = UsersStack(tmp_path_factory.mktemp("parts"), "fab", f"https://127.0.0.1:{PORT}{BASE}")
    try:
        made.start_redis()
        made.start_postgres()
        done = made.init()
        assert done.status == 0, done.output
        for part, command in JOBS.items():
            made.start_airflow(
                part,
                *command,
                environment={
                    "AIRFLOW__API_AUTH__JWT_SECRET": "only-for-tests-" * 5,
                    "AIRFLOW__CORE__AUTH_MANAGER": FAB,
                    "CORPUS_HEALTH_PATIENCE_S": "2",
                    # Longer than anything takes here on a busy machine, but for what is stopped.
                    "CORPUS_HEALTH_SILENCE_S": "30",
                },
            )
        made.start_api()
        yield made
    finally:
        made.close()


@pytest.fixture(autouse=True)
def _all_healthy(stack: UsersStack) -> None:
    for part in JOBS:
        _wait_until_healthy(stack, part, part)
    _wait_until_healthy(stack, "api", "api-server")


def _wait_until_healthy(stack: UsersStack, role: str, part: str) -> None:
    stack.wait(lambda: stack.health(role, part).status == 0, 120, f"{part} to be healthy")


def test_each_says_in_a_line_that_it_works(stack: UsersStack) -> None:
    for part in JOBS:
        line = stack.health(part, part).line
        assert line.startswith(f"{part}: last heartbeat ")
        assert "\n" not in line
    says = "api-server: answers, and reaches the metadata database"
    # On a busy machine it may not answer in time.
    stack.wait(lambda: stack.health("api", "api-server").line == says, 60, says)


def test_a_heartbeat_of_another_host_does_not_count(stack: UsersStack) -> None:
    """Here a scheduler beats, and a triggerer does; but neither in the other's container."""
    health = stack.health("triggerer", "scheduler")
    assert health.status == 1
    assert "no heartbeat since its start" in health.line or "has no job" in health.line


def test_a_scheduler_that_hangs_is_started_again(stack: UsersStack) -> None:
    name = f"{stack.name}-scheduler"
    before = stack.restarts(name)
    signal("STOP", stack.pid("scheduler", "airflow scheduler"))
    lines = []

    def restarted() -> bool:
        lines.append(stack.health("scheduler", "scheduler").line)
        return stack.restarts(name) > before

    stack.wait(restarted, 120)
    assert any("killed, because it did not end" in line for line in lines), lines


def test_a_database_that_is_away_is_named_and_nothing_is_ended(stack: UsersStack) -> None:
    before = {part: stack.restarts(f"{stack.name}-{part}") for part in ("dag-processor", "api")}
    docker("pause", f"{stack.name}-postgres")
    try:
        for part in ("dag-processor", "dag-processor", "dag-processor", "dag-processor"):
            health = stack.health(part, part)
            assert health.status == 1
            assert health.line.startswith(
                f"{part}: waiting: the metadata database does not answer: "
            )
        assert stack.health("api", "api-server").status == 1
    finally:
        docker("unpause", f"{stack.name}-postgres")
    assert before == {
        part: stack.restarts(f"{stack.name}-{part}") for part in ("dag-processor", "api")
    }


def test_an_api_server_that_does_not_answer_is_unhealthy(stack: UsersStack) -> None:
    pid = stack.pid("api", "airflow api_server")
    signal("STOP", pid)
    try:
        health = stack.health("api", "api-server")
    finally:
        signal("CONT", pid)
    assert health.line == "api-server: unhealthy: does not answer on port 8080: timed out"
    assert health.status == 1


def test_an_unknown_part_is_refused(stack: UsersStack) -> None:
    health = stack.health("api", "webserver")
    assert health.status == 2
    assert "api-server|scheduler|dag-processor|triggerer|worker|reaper" in health.line


def test_docker_shows_the_reason(stack: UsersStack) -> None:
    name = stack.start(
        "asked",
        "corpus-airflow",
        *("sleep", "600"),
        options=[
            *("--health-cmd", " ".join([*CHECK, "worker"]), "--health-interval", "1s"),
            *("--volume", OWN_CODE),
        ],
    )
    log = "{{range .State.Health.Log}}{{.Output}}{{end}}"
    stack.wait(lambda: "worker: " in docker("inspect", "--format", log, name))
    assert "worker: starting: nothing of Airflow runs yet" in docker(
        "inspect", "--format", log, name
    )


@pytest.fixture(scope="module")
def browser(stack: UsersStack, tmp_path_factory: pytest.TempPathFactory) -> Iterator[httpx.Client]:
    """A user's, who comes by the nginx of docs/examples."""
    with (
        nginx(tmp_path_factory.mktemp("nginx"), PORT, stack.port) as found,
        client(found) as made,
    ):
        yield made


def test_a_user_logs_in_by_nginx_and_sees_a_card(browser: httpx.Client) -> None:
    page = browser.get(BASE, follow_redirects=True)
    assert page.status_code == 200
    assert f'<base href="{BASE}/"' in page.text
    assert urlsplit(str(page.url)).path == f"{BASE}/"
    form = browser.get(f"{BASE}/auth/login/")
    token = re.search(r'name="csrf_token"[^>]*value="([^"]+)"', form.text)
    assert token, form.text
    fields = {"username": "vera", "password": PASSWORDS["vera"], "csrf_token": token[1]}
    headers = {"Referer": str(form.url)}
    entered = browser.post(f"{BASE}/auth/login/", data=fields, headers=headers)
    assert entered.status_code == 302, entered.text
    assert urlsplit(entered.headers["location"]).path.startswith(f"{BASE}/")
    cookie = next(one for one in entered.headers.get_list("set-cookie") if "_token=" in one)
    # Sent nowhere but here, and by TLS alone.
    assert f"Path={BASE}/" in cookie
    assert "Secure" in cookie
    card = browser.get(f"{BASE}/corpus/cards/{SNAPSHOT}/")
    assert "A data card" in card.text


def test_what_tasks_report_to_is_not_for_users(browser: httpx.Client) -> None:
    assert browser.get(f"{BASE}/execution/health").status_code == 403
    assert browser.get(f"{BASE}//execution/health").status_code == 403
    assert browser.get("/execution/health").status_code == 404


def test_whoever_comes_directly_needs_no_path(stack: UsersStack) -> None:
    code = "from deploy.container.health.api import check_execution_api as check; check()"

    def answers(url: str) -> bool:
        setting = {"AIRFLOW__CORE__EXECUTION_API_SERVER_URL": url}
        done = stack.call("scheduler", "python", "-c", code, **setting)
        # A busy machine may be slow to answer; any other fault is one.
        assert done.returncode == 0 or "timed out" in done.stderr, done.stderr
        return done.returncode == 0

    for path in ("", BASE):
        stack.wait(lambda url=f"http://api:8080{path}/execution/": answers(url), 60, "the API")
    with stack.client("vera") as direct:
        assert direct.get("/api/v2/dags").status_code == 200
        assert direct.get(f"{BASE}/api/v2/dags").status_code == 200
