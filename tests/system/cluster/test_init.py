"""The init job against a real Postgres: what it does, what it refuses, and that twice is as once."""

from __future__ import annotations

from collections.abc import Iterator

import httpx
import pytest

from tests.system.cluster.users_stack import PASSWORDS, USERS, UsersStack

# Each run migrates, and imports Airflow more than once.
pytestmark = pytest.mark.timeout(600)

_TABLES = ("ab_role", "ab_permission_view_role", "ab_user_role", "alembic_version")


@pytest.fixture(scope="module")
def stack(engine: None, tmp_path_factory: pytest.TempPathFactory) -> Iterator[UsersStack]:
    made = UsersStack(tmp_path_factory.mktemp("init"), "fab")
    try:
        made.start_postgres()
        yield made
    finally:
        made.close()


def _content(stack: UsersStack) -> dict[str, str]:
    """All rows; without when a user last did what."""
    rows = {table: stack.query(f"select * from {table} order by 1") for table in _TABLES}
    rows["ab_user"] = stack.query(
        "select id, username, password, active, email, first_name, last_name from ab_user order by 1"
    )
    return rows


def test_a_first_run_makes_all_and_a_second_changes_nothing(stack: UsersStack) -> None:
    first = stack.init()
    assert first.status == 0, first.output
    assert "Migrating alembic_version: from nothing to " in first.output
    for line in (
        "vera: made, with the role Viewer",
        "dan: made, with the role DataScientist",
        "ada: made, with the role Admin",
        "reaper: made, with the role Reaper",
        "New passwords, of reaper, are in /run/corpus-users/passwords.",
    ):
        assert line in first.output.splitlines()
    before = _content(stack)
    second = stack.init()
    assert second.status == 0, second.output
    lines = second.output.splitlines()
    assert "The database is up to date." in lines
    assert "Roles and users are as they should be." in lines
    assert _content(stack) == before
    reaper = stack.users / "passwords" / "reaper"
    assert reaper.stat().st_mode & 0o777 == 0o440
    for password in (*PASSWORDS.values(), reaper.read_text()):
        assert password not in first.output + second.output
        assert password not in stack.query("select array_agg(t::text) from ab_user t")
        assert password not in stack.query("select array_agg(t::text) from log t")


def test_what_changed_in_the_files_is_applied(stack: UsersStack) -> None:
    api = stack.start_api()
    try:
        stack.write("passwords/vera", "a new one for vera")
        stack.write(
            "users.toml",
            USERS.replace('"Viewer"', '"DataScientist"')
            + 'active = true\n\n[[user]]\nname = "eve"\nrole = "Viewer"\n'
            + 'initial_password = true\n\n[[user]]\nname = "reaper"\nrole = "Reaper"\nactive = false\n',
        )
        assert stack.login("vera", PASSWORDS["vera"]).status_code == httpx.codes.CREATED
        done = stack.init()
        assert done.status == 0, done.output
        said = set(done.output.splitlines())
        assert {
            "vera: has the role DataScientist now",
            "vera: has another password",
            "eve: made, with the role Viewer",
            "reaper: may no longer log in",
        } <= said
        assert not any(line.startswith(("dan: ", "ada: ")) for line in said)
        assert stack.login("vera", PASSWORDS["vera"]).status_code == httpx.codes.UNAUTHORIZED
        assert stack.login("vera", "a new one for vera").status_code == httpx.codes.CREATED
        reaper = stack.password("reaper")
        assert stack.login("reaper", reaper).status_code == httpx.codes.UNAUTHORIZED
        # What was only for the first login is not set again.
        stack.write("passwords/eve", "not what eve chose")
        again = stack.init()
        assert again.status == 0, again.output
        assert "Roles and users are as they should be." in again.output
        assert stack.login("eve", "not what eve chose").status_code == httpx.codes.UNAUTHORIZED
    finally:
        stack.remove(api)
        stack.write("users.toml", USERS)


def test_roles_of_ours_are_as_declared_again(stack: UsersStack) -> None:
    grant = (
        "insert into ab_permission_view_role (id, permission_view_id, role_id) "
        "select nextval('ab_permission_view_role_id_seq'), view.id, role.id "
        "from ab_permission_view view join ab_permission p on p.id = view.permission_id "
        "join ab_view_menu menu on menu.id = view.view_menu_id, ab_role role "
        "where p.name = 'can_delete' and menu.name = 'Connections' and role.name = 'DataScientist'"
    )
    stack.query(grant)
    done = stack.init()
    assert done.status == 0, done.output
    assert "role DataScientist: no longer can delete on Connections" in done.output.splitlines()


def test_a_database_of_a_newer_airflow_is_refused(stack: UsersStack) -> None:
    known = stack.query("select version_num from alembic_version")
    stack.query("update alembic_version set version_num = 'ffff00001111'")
    try:
        done = stack.init()
    finally:
        stack.query(f"update alembic_version set version_num = '{known}'")
    assert done.status == 1
    assert "ffff00001111 (alembic_version) is unknown to Airflow 3." in done.output
    assert "restore the backup" in done.output


def test_a_database_of_something_else_is_refused_and_left_alone(stack: UsersStack) -> None:
    stack.query("create database foreign_db")
    stack.query("create table invoices (id int)", "foreign_db")
    done = stack.init("foreign_db")
    assert done.status == 1
    assert "tables that are not Airflow's (invoices ...)" in done.output
    tables = "select string_agg(tablename, ',') from pg_tables where schemaname = 'public'"
    assert stack.query(tables, "foreign_db") == "invoices"


def test_a_database_that_is_not_there_is_named_without_the_password(stack: UsersStack) -> None:
    done = stack.init("nowhere", CORPUS_INIT_WAIT_S="1")
    assert done.status == 1
    assert "The metadata database does not answer since 1 s" in done.output
    assert '"nowhere" does not exist' in done.output
    assert "airflow:pg@" not in done.output


def test_a_mistake_in_the_users_file_is_told_before_anything_is_done(stack: UsersStack) -> None:
    stack.query("create database untouched")
    stack.write("users.toml", USERS.replace("Viewer", "Wizard"))
    try:
        done = stack.init("untouched")
    finally:
        stack.write("users.toml", USERS)
    assert done.status == 1
    assert done.output.strip() == (
        "Refused: /run/corpus-users/users.toml: user vera has the role 'Wizard'; there are Viewer, "
        "DataScientist, Admin, Reaper."
    )
    tables = "select count(*) from pg_tables where schemaname = 'public'"
    assert stack.query(tables, "untouched") == "0"
