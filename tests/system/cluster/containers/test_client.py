"""The engine's API as tasks use it, by a socket and by TLS."""

from __future__ import annotations

import ssl
import subprocess
from pathlib import Path

import pytest

from operators import ContainerOperator
from operators.containers.client import Client
from operators.errors import EngineError, NoSuchThingError
from tests.system.cluster.containers.flaky import by_tls
from tests.system.cluster.containers.world import URL, World


@pytest.fixture
def certificates(tmp_path: Path) -> Path:
    """A folder with ca.pem, and cert.pem and key.pem of both sides, for 127.0.0.1."""
    openssl = ["openssl", "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", "2"]
    subprocess.run(
        [*openssl, "-subj", "/CN=engine", "-addext", "subjectAltName=IP:127.0.0.1",
         "-keyout", "key.pem", "-out", "cert.pem"],
        cwd=tmp_path, check=True, capture_output=True,
    )  # fmt: skip
    (tmp_path / "ca.pem").write_text((tmp_path / "cert.pem").read_text())
    return tmp_path


@pytest.mark.airflow
def test_an_engine_behind_tls(world: World, certificates: Path) -> None:
    context = ssl.create_default_context(
        ssl.Purpose.CLIENT_AUTH, cafile=str(certificates / "ca.pem")
    )
    context.load_cert_chain(certificates / "cert.pem", certificates / "key.pem")
    context.verify_mode = ssl.CERT_REQUIRED
    with by_tls(context) as port:
        ti = world.run(
            ContainerOperator,
            image=world.image,
            entrypoint="sh -c",
            command=["echo 1 > $CORPUS_RESULT"],
            result_schema={"type": "integer"},
            docker_url=f"tcp://127.0.0.1:{port}",
            tls_ca_cert=str(certificates / "ca.pem"),
            tls_client_cert=str(certificates / "cert.pem"),
            tls_client_key=str(certificates / "key.pem"),
        )
        assert ti.xcom_pull(task_ids="task") == 1
        # Without a certificate nobody gets in.
        own = ssl.create_default_context(cafile=str(certificates / "ca.pem"))
        with pytest.raises(OSError, match=r"(?i)certificate|reset|broken|end of file|eof"):
            Client(f"tcp://127.0.0.1:{port}", tls=own).containers([])
    assert world.nothing_left()


def test_refusals_are_the_engine_s_own_words(world: World) -> None:
    client = Client(URL)
    with pytest.raises(NoSuchThingError, match="No such container: none"):
        client.container("none")
    with pytest.raises(EngineError, match="Config cannot be empty") as caught:
        client.create({})
    assert caught.value.status >= 400


@pytest.mark.parametrize("url", [URL, URL.replace("///", "//")])
def test_a_socket_is_named_either_way(world: World, url: str) -> None:
    assert Client(url).image(world.image)["Id"].startswith("sha256:")


def test_names_are_no_paths(world: World) -> None:
    """A name out of a setting cannot become another request."""
    with pytest.raises(EngineError):
        Client(URL).image("../containers/json?x=")


def test_much_output_in_small_pieces_comes_whole(world: World) -> None:
    """Each line a write of its own: frames of some bytes, many to a read."""
    seen: list[str] = []
    code = "import os\nfor n in range(20_000): os.write(1 + n % 2, b'%d\\n' % n)"
    with world.containers(seen.append) as containers:
        containers.run("run", world.spec("", entrypoint=["python", "-c", code], command=[]))
    numbers = [int(line) for line in seen[:-1]]
    assert sorted(numbers) == list(range(20_000))
    for parity in (0, 1):
        assert [n for n in numbers if n % 2 == parity] == list(range(parity, 20_000, 2))
