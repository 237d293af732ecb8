"""users.toml and the passwords' files, as the init job and the API server read them."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from deploy.container.init import accounts, auth
from deploy.container.init.errors import BadUsersError

ADMIN = '[[user]]\nname = "ada"\nrole = "Admin"\n'


def read(folder: Path, manager: str = "fab") -> dict[str, Any]:
    """What the init job and then the start of the API server make of a folder."""
    found = accounts.read(folder)
    made = [one.name for one in found if one.ensure_password()]
    environment = {"CORPUS_AUTH": manager, "AIRFLOW_HOME": str(folder)}
    users = {one.name: [one.role, one.email, one.active] for one in found}
    return {"users": users, "made": made, "settings": auth.settings(environment, folder)}


def test_without_a_file_there_is_an_administrator_and_the_service_account(tmp_path: Path) -> None:
    found = read(tmp_path)
    assert found["users"] == {
        "admin": ["Admin", "admin@users.invalid", True],
        "reaper": ["Reaper", "reaper@users.invalid", True],
    }
    assert found["made"] == ["admin", "reaper"]
    files = sorted((tmp_path / "passwords").iterdir())
    assert [file.name for file in files] == ["admin", "reaper"]
    assert [oct(file.stat().st_mode)[-3:] for file in files] == ["440", "440"]
    admin, reaper = (file.read_text() for file in files)
    assert len(admin) == len(reaper) == 24
    assert admin != reaper
    # They stay as they are.
    assert read(tmp_path)["made"] == []
    assert (tmp_path / "passwords" / "admin").read_text() == admin


def test_fab_takes_a_sites_own_configuration_where_there_is_one(tmp_path: Path) -> None:
    manager = {
        "AIRFLOW__CORE__AUTH_MANAGER": "airflow.providers.fab.auth_manager.fab_auth_manager.FabAuthManager"
    }
    assert read(tmp_path)["settings"] == manager
    (tmp_path / "webserver_config.py").touch()
    assert read(tmp_path)["settings"] == {
        **manager,
        "AIRFLOW__FAB__CONFIG_FILE": str(tmp_path / "webserver_config.py"),
    }


def test_the_simple_manager_gets_active_users_and_their_passwords(tmp_path: Path) -> None:
    (tmp_path / "users.toml").write_text(
        ADMIN
        + '[[user]]\nname = "dan"\nrole = "DataScientist"\n'
        + '[[user]]\nname = "old"\nrole = "Viewer"\nactive = false\n'
    )
    (tmp_path / "passwords").mkdir()
    (tmp_path / "passwords" / "dan").write_text("with a space \n")
    settings = read(tmp_path, "simple")["settings"]
    users = "AIRFLOW__CORE__SIMPLE_AUTH_MANAGER_USERS"
    assert settings[users] == "ada:admin,dan:user,reaper:viewer"
    file = Path(settings["AIRFLOW__CORE__SIMPLE_AUTH_MANAGER_PASSWORDS_FILE"])
    passwords = json.loads(file.read_text())
    assert passwords["dan"] == "with a space "
    assert set(passwords) == {"ada", "dan", "reaper"}
    assert file.stat().st_mode & 0o777 == 0o600


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("[[user]", "cannot be read"),
        ("x = 1\n" + ADMIN, "something else than [[user]] tables: x"),
        ('[[user]]\nname = "a:b"\nrole = "Admin"\n', "'a:b' is not a user name"),
        ('[[user]]\nrole = "Admin"\n', "None is not a user name"),
        (ADMIN.replace("Admin", "admin"), "has the role 'admin'; there are Viewer"),
        (ADMIN + 'mail = "a@b"\n', "has an unknown field 'mail'"),
        (ADMIN + 'active = "no"\n', "active of user ada is no bool"),
        (ADMIN + ADMIN.replace("ada", "ADA"), "one name to two users: ada"),
        (ADMIN.replace("Admin", "Viewer"), "no active user with the role Admin"),
        (ADMIN + "active = false\n", "no active user with the role Admin"),
        ("", "no active user with the role Admin"),
    ],
)
def test_a_mistake_is_named(text: str, message: str, tmp_path: Path) -> None:
    (tmp_path / "users.toml").write_text(text)
    with pytest.raises(BadUsersError, match=r"users\.toml") as caught:
        read(tmp_path)
    assert message in str(caught.value)
    assert not (tmp_path / "passwords").exists()


def test_a_password_that_is_too_short_is_refused(tmp_path: Path) -> None:
    (tmp_path / "passwords").mkdir()
    (tmp_path / "passwords" / "admin").write_text("short\n")
    with pytest.raises(BadUsersError, match="less than 8 characters") as caught:
        read(tmp_path)
    assert "short\n" not in str(caught.value)
