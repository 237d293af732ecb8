"""The init job and an API server in containers, with users of every role."""

from __future__ import annotations

import subprocess
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx

from deploy.common.ports import free_port
from deploy.local.cluster.compose import docker
from deploy.local.cluster.ownership import hand_over
from tests.system.cluster.health_stack import OWN_CODE, Stack

REPO = Path(__file__).resolve().parents[3]
IMAGE = "corpus-airflow"
SNAPSHOT = "20260101T000000-1a2b3c4d"
PASSWORDS = {"vera": "vera's own words", "dan": "dän & sons = 42", "ada": "ada-ada-ada"}
USERS = """\
[[user]]
name = "vera"
role = "Viewer"
email = "vera@example.org"

[[user]]
name = "dan"
role = "DataScientist"

[[user]]
name = "ada"
role = "Admin"
password_file = "secret-of-ada"
"""


@dataclass(frozen=True)
class Done:
    """How a run of the init job ended, and all that it said."""

    status: int
    output: str


class UsersStack(Stack):
    """With the folder of users, which holds a password for each but the service account."""

    def __init__(self, folder: Path, auth: str, base_url: str = "") -> None:
        super().__init__(folder)
        self.auth = auth
        # The address that users type; by default that of the published port.
        self.base_url = base_url
        self.port = free_port()
        self.users = folder / "users"
        (self.users / "passwords").mkdir(parents=True)
        (self.users / "users.toml").write_text(USERS)
        for name, password in PASSWORDS.items():
            file = "secret-of-ada" if name == "ada" else f"passwords/{name}"
            (self.users / file).write_text(password + "\n")
        card = folder / "corpus" / "snapshots" / SNAPSHOT / "card"
        card.mkdir(parents=True)
        (card / "index.html").write_text("<title>A data card</title>")
        hand_over([self.users, *self.users.rglob("*")], IMAGE)

    def _options(self, *, writable: bool) -> list[str]:
        mode = "rw" if writable else "ro"
        mounts = [f"{self.users}:/run/corpus-users:{mode}", f"{self.folder / 'corpus'}:/corpus:ro"]
        mounts.append(OWN_CODE)
        for name in ("dags", "plugins", "operators", "corpus"):
            mounts.append(f"{REPO / name}:/opt/corpus-airflow/current/{name}:ro")
        volumes = [f"--volume={mount}" for mount in mounts]
        return ["--tmpfs", "/var/lib/airflow:mode=0755,uid=50000,gid=50000", *volumes]

    def _environment(self, database: str = "airflow") -> dict[str, str]:
        address = f"postgresql+psycopg2://airflow:pg@postgres:5432/{database}?connect_timeout=5"
        return {
            "AIRFLOW__DATABASE__SQL_ALCHEMY_CONN": address,
            "AIRFLOW__API_AUTH__JWT_SECRET": "only-for-tests-" * 5,
            "AIRFLOW__API__SECRET_KEY": "only-for-tests",
            **({"AIRFLOW__API__BASE_URL": self.base_url} if self.base_url else {}),
            "CORPUS_AUTH": self.auth,
            "CORPUS_INIT_WAIT_S": "60",
            "CORPUS_STORE__ROOT": "/corpus",
        }

    def init(self, database: str = "airflow", **more: str) -> Done:
        """Run the init job to its end."""
        variables = {**self._environment(database), **more}
        done = self._run([f"--env={key}={value}" for key, value in variables.items()])
        return Done(done.returncode, done.stdout)

    def _run(self, variables: list[str]) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            [
                *("docker", "run", "--rm", "--init", "--read-only", "--cap-drop", "ALL"),
                *("--network", self.name, "--tmpfs", "/tmp:mode=1777"),
                *self._options(writable=True),
                *variables,
                *(IMAGE, "python", "-m", "deploy.container.init"),
            ],
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
        )

    def start_api(self) -> str:
        name = self.start(
            "api",
            IMAGE,
            *("python", "-m", "deploy.container.init.with_auth"),
            *("airflow", "api-server", "--workers", "1", "--proxy-headers"),
            options=[
                *self._options(writable=False),
                *("--publish", f"127.0.0.1:{self.port}:8080"),
            ],
            environment={**self._environment(), "FORWARDED_ALLOW_IPS": "*"},
        )
        self.wait(lambda: self.health("api", "api-server").status == 0, 120, "the API server")
        return name

    def remove(self, name: str) -> None:
        docker("rm", "--force", name)
        self._containers.remove(name)

    def login(self, user: str, password: str) -> httpx.Response:
        address = f"http://127.0.0.1:{self.port}/auth/token"
        return httpx.post(address, json={"username": user, "password": password}, timeout=30)

    def client(self, user: str | None) -> httpx.Client:
        """Logged in with the password that is in the user's file; or not at all."""
        headers = {}
        if user is not None:
            answer = self.login(user, self.password(user))
            assert answer.status_code == httpx.codes.CREATED, answer.text
            headers["Authorization"] = f"Bearer {answer.json()['access_token']}"
        return httpx.Client(base_url=f"http://127.0.0.1:{self.port}", headers=headers, timeout=60)

    def password(self, user: str) -> str:
        file = "secret-of-ada" if user == "ada" else f"passwords/{user}"
        return self.call("api", "cat", f"/run/corpus-users/{file}").stdout.rstrip("\n")

    def write(self, file: str, text: str) -> None:
        """Replace a file of the users' folder."""
        path = self.users / file
        path.unlink(missing_ok=True)
        path.write_text(text)
        hand_over([path], IMAGE)

    def query(self, sql: str, database: str = "airflow") -> str:
        psql = 'PGPASSWORD="$(cat /run/secrets/postgres_password)" exec psql -qAt -U airflow "$@"'
        done = self.call("postgres", "sh", "-c", psql, "sh", "-d", database, "-c", sql)
        assert done.returncode == 0, done.stderr
        return done.stdout.strip()


def body(answer: httpx.Response) -> Any:
    assert answer.status_code < 400, (answer.status_code, answer.text)
    return answer.json()
