"""Who may do what, asked of a real API server: every role, under both auth managers."""

from __future__ import annotations

from collections.abc import Callable, Iterator

import httpx
import pytest

from tests.system.cluster.users_stack import PASSWORDS, SNAPSHOT, UsersStack, body

pytestmark = pytest.mark.timeout(600)

UPDATE = "/api/v2/dags/corpus_update"
# A DAG of one task, with a run that all share.
SERVICE = "/api/v2/dags/corpus_group"
KEPT = f"{SERVICE}/dagRuns/kept"


@pytest.fixture(scope="module", params=["fab", "simple"])
def stack(
    request: pytest.FixtureRequest, engine: None, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[UsersStack]:
    made = UsersStack(tmp_path_factory.mktemp("users"), request.param)
    try:
        made.start_postgres()
        done = made.init()
        assert done.status == 0, done.output
        made.start_api()
        parsed = made.call("api", "airflow", "dags", "reserialize")
        assert parsed.returncode == 0, parsed.stderr
        with made.client("ada") as ada:
            body(ada.patch(UPDATE, json={"is_paused": False}))
            run = {"logical_date": None, "dag_run_id": "kept", "conf": {"update": "u"}}
            body(ada.post(f"{SERVICE}/dagRuns", json=run))
        yield made
    finally:
        made.close()


def _trigger(client: httpx.Client) -> httpx.Response:
    wanted = {"logical_date": None, "conf": {"limit": 0}}
    return client.post(f"{UPDATE}/dagRuns", json=wanted)


def _clear(client: httpx.Client) -> httpx.Response:
    wanted = {"dry_run": False, "dag_run_id": "kept", "only_failed": False}
    return client.post(f"{SERVICE}/clearTaskInstances", json=wanted)


def _delete_run(client: httpx.Client) -> httpx.Response:
    # One that is not there, so that who may delete takes nothing from the tests after it.
    return client.delete(f"{SERVICE}/dagRuns/none")


ACTIONS: dict[str, Callable[[httpx.Client], httpx.Response]] = {
    "read runs": lambda client: client.get(f"{UPDATE}/dagRuns"),
    "read tasks": lambda client: client.get(f"{KEPT}/taskInstances"),
    "read logs": lambda client: client.get(
        f"{KEPT}/taskInstances/group/logs/1", headers={"Accept": "application/json"}
    ),
    "read cards": lambda client: client.get(f"/corpus/cards/{SNAPSHOT}/"),
    "read assets": lambda client: client.get("/api/v2/assets"),
    "trigger": _trigger,
    "clear": _clear,
    "mark a task": lambda client: client.patch(
        f"{KEPT}/taskInstances/group", json={"new_state": "success"}
    ),
    "mark a run": lambda client: client.patch(KEPT, json={"state": "failed"}),
    "pause": lambda client: client.patch(UPDATE, json={"is_paused": False}),
    "delete a run": _delete_run,
    "read connections": lambda client: client.get("/api/v2/connections"),
    "write variables": lambda client: client.post(
        "/api/v2/variables", json={"key": "k", "value": "v"}
    ),
    "write pools": lambda client: client.patch(
        "/api/v2/pools/default_pool", json={"slots": 128}, params={"update_mask": "slots"}
    ),
    "read the audit log": lambda client: client.get("/api/v2/eventLogs"),
}
READ = {"read runs", "read tasks", "read logs", "read cards", "read assets"}
WORK = {"trigger", "clear", "mark a task", "mark a run", "pause"}
MAY = {
    "fab": {
        "vera": READ,
        "dan": READ | WORK,
        "ada": set(ACTIONS),
        "reaper": {"read runs", "read tasks"},
    },
    # It has four roles and no others: DataScientist is its `user`, Reaper its `viewer`.
    "simple": {
        "vera": READ | {"read the audit log"},
        "dan": READ | WORK | {"delete a run", "read the audit log"},
        "ada": set(ACTIONS),
        "reaper": READ | {"read the audit log"},
    },
}


@pytest.mark.parametrize("user", ["vera", "dan", "ada", "reaper"])
def test_each_role_may_do_its_own_and_nothing_else(user: str, stack: UsersStack) -> None:
    with stack.client(user) as client:
        statuses = {name: act(client).status_code for name, act in ACTIONS.items()}
    allowed = {name for name, status in statuses.items() if status != httpx.codes.FORBIDDEN}
    assert allowed == MAY[stack.auth][user], statuses
    answered = {name: status for name, status in statuses.items() if name in allowed}
    # There is no such run, no such log yet, and a variable is made but once.
    missing = {"delete a run", "read logs", "write variables"}
    assert {name for name, status in answered.items() if status >= 400} <= missing, statuses


def test_without_a_login_nothing_is_shown(stack: UsersStack) -> None:
    with stack.client(None) as client:
        statuses = {name: act(client).status_code for name, act in ACTIONS.items()}
    assert set(statuses.values()) == {httpx.codes.UNAUTHORIZED}, statuses


def test_a_wrong_password_is_refused(stack: UsersStack) -> None:
    for user, password in [("vera", "vera"), ("nobody", "nobody's own"), ("vera", "")]:
        assert stack.login(user, password).status_code in (400, 401, 422)


def test_only_an_administrator_sees_users(stack: UsersStack) -> None:
    if stack.auth != "fab":
        pytest.skip("the simple auth manager has no such page")
    for user, status in [("vera", 403), ("dan", 403), ("ada", 200)]:
        with stack.client(user) as client:
            assert client.get("/auth/fab/v1/users").status_code == status


def test_passwords_are_nowhere_but_in_their_files(stack: UsersStack) -> None:
    from deploy.local.cluster.compose import docker

    said = stack.logs(f"{stack.name}-api") + docker("inspect", f"{stack.name}-api")
    for user in (*PASSWORDS, "reaper"):
        assert len(stack.password(user)) > 8
        assert stack.password(user) not in said


def test_guessing_at_the_api_is_limited_as_at_the_form(stack: UsersStack) -> None:
    """The last one here: from then on this address waits."""
    # Eleven, so that six fall into one of the limit's times even if one ends meanwhile.
    answers = [stack.login("vera", "a guess").status_code for _ in range(11)]
    assert set(answers) == {httpx.codes.UNAUTHORIZED, httpx.codes.TOO_MANY_REQUESTS}
