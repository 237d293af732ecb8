"""As whom the commands of a cluster log in."""

from __future__ import annotations

from pathlib import Path

import pytest

from deploy.common.errors import ClusterError
from deploy.local.cluster import credentials
from deploy.local.cluster.users import login, users
from deploy.local.cluster.workdir import Place

pytestmark = pytest.mark.fast


@pytest.fixture
def place(tmp_path: Path) -> Place:
    found = Place(tmp_path)
    found.write_settings(
        {"CORPUS_API_PORT": "8081", "AIRFLOW__API__BASE_URL": "https://ml.example/airflow"}
    )
    credentials.generate_users(found / "users")
    return found


def write(place: Place, *tables: str) -> None:
    text = "".join(f"[[user]]\n{table}\n" for table in tables)
    (place / "users" / "users.toml").write_text(text)


def test_at_first_it_is_admin(place: Place):
    password = (place / "users" / "passwords" / "admin").read_text()
    assert login(place) == ("http://127.0.0.1:8081", "admin", password)
    lines = users(place)
    assert not any(password in line for line in lines)
    # What a person types; the commands go straight to the port.
    assert lines[0].strip() == "https://ml.example/airflow"


def test_it_is_the_first_administrator_who_may_log_in(place: Place):
    (place / "users" / "ada.password").write_text(" with a space \n")
    write(
        place,
        'name = "dan"\nrole = "DataScientist"',
        'name = "old"\nrole = "Admin"\nactive = false',
        'name = "ada"\nrole = "Admin"\npassword_file = "ada.password"',
        'name = "admin"\nrole = "Admin"',
    )
    assert login(place)[1:] == ("ada", " with a space ")


@pytest.mark.parametrize(
    ("table", "message"),
    [
        ('name = "eve"\nrole = "Admin"', "password of eve cannot be read"),
        ('name = "dan"\nrole = "Viewer"', "no active user with the role Admin"),
        ('name = "dan"', "KeyError"),
        ("name = ", "Invalid value"),
    ],
)
def test_what_is_missing_is_named(place: Place, table: str, message: str):
    write(place, table)
    with pytest.raises(ClusterError, match=message):
        login(place)
