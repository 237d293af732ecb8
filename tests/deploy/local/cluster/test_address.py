"""Where a cluster's API answers, and a port that somebody else holds."""

from __future__ import annotations

import os
import re
import socket
from pathlib import Path

import pytest

from deploy.common.errors import BadInputError, ClusterError
from deploy.common.ports import free_port
from deploy.local.cluster import address
from deploy.local.cluster.address import api_url, refuse_taken_port, ui_url
from deploy.local.cluster.configuration import Engine, Options, choose
from deploy.local.cluster.workdir import Place

pytestmark = pytest.mark.fast

ENGINE = Engine(Path("/run/engine"), 111)


@pytest.fixture
def place(tmp_path: Path) -> Place:
    found = Place(tmp_path)
    found.write_settings({})
    return found


def chosen(place: Place, site: str = "", **options: object) -> dict[str, str]:
    (place / "site.env").write_text(site)
    variables = choose(place, Options(**options), ENGINE, "digest")  # type: ignore[arg-type]
    place.write_settings(variables)
    return {**variables, **place.own()}


def test_without_a_proxy_users_and_commands_have_one_address(place: Place):
    chosen(place, port=18080)
    assert ui_url(place) == api_url(place) == "http://127.0.0.1:18080"


def test_with_a_proxy_users_have_its_address_and_commands_go_straight(place: Place):
    chosen(place, "AIRFLOW__API__BASE_URL=https://ml.example/airflow/\n", port=18080)
    assert ui_url(place) == "https://ml.example/airflow"
    assert api_url(place) == "http://127.0.0.1:18080"


@pytest.mark.parametrize(
    ("bound", "asked"),
    [("0.0.0.0", "127.0.0.1"), ("127.0.0.2", "127.0.0.2"), ("::", "[::1]"), ("::1", "[::1]")],
)
def test_the_address_that_the_port_is_bound_to_is_asked(place: Place, bound: str, asked: str):
    chosen(place, f"CORPUS_API_ADDRESS={bound}\n", port=18080)
    assert api_url(place) == ui_url(place) == f"http://{asked}:18080"


def test_an_address_that_cannot_work_is_refused_before_anything_is_written(place: Place):
    with pytest.raises(BadInputError, match="begin with /api"):
        chosen(place, "AIRFLOW__API__BASE_URL=https://ml.example/api\n")
    assert place.chosen() == {}


@pytest.mark.parametrize("port", ["none", "0", "65536"])
def test_a_port_that_is_none_is_refused(place: Place, port: str):
    with pytest.raises(ClusterError, match=r"CORPUS_API_PORT is .* from 1 to 65535"):
        chosen(place, f"CORPUS_API_PORT={port}\n")


class TestPort:
    """`listed` is what the engine tells of containers that publish the port: their project and name."""

    @pytest.fixture
    def listed(self, monkeypatch: pytest.MonkeyPatch) -> list[str]:
        lines: list[str] = []
        monkeypatch.setattr(address, "docker", lambda *words: "\n".join(lines))
        return lines

    def test_a_free_one_is_taken(self, place: Place, listed: list[str]):
        refuse_taken_port(place, chosen(place, port=free_port()))

    def test_the_holder_is_named_and_another_port_proposed(self, place: Place, listed: list[str]):
        with socket.create_server(("127.0.0.1", 0)) as server:
            port = server.getsockname()[1]
            with pytest.raises(ClusterError) as caught:
                refuse_taken_port(place, chosen(place, port=port))
        said = str(caught.value)
        assert said.startswith(f"Port {port} of 127.0.0.1 is held by ")
        assert f"(process {os.getpid()})" in said
        assert re.search(r"choose another port: PORT=\d+ make cluster-up$", said)

    def test_a_port_of_site_env_is_changed_there(self, place: Place, listed: list[str]):
        with socket.create_server(("127.0.0.1", 0)) as server:
            variables = chosen(place, f"CORPUS_API_PORT={server.getsockname()[1]}\n")
            with pytest.raises(ClusterError, match=r"change CORPUS_API_PORT in .*site\.env"):
                refuse_taken_port(place, variables)

    def test_another_clusters_container_is_named(self, place: Place, listed: list[str]):
        listed.append("other\tother-api-server-1")
        with socket.create_server(("127.0.0.1", 0)) as server:
            variables = chosen(place, port=server.getsockname()[1])
            with pytest.raises(ClusterError, match="held by the container other-api-server-1"):
                refuse_taken_port(place, variables)

    def test_this_clusters_own_is_in_nobodys_way(self, place: Place, listed: list[str]):
        listed.append("corpus\tcorpus-api-server-1")
        with socket.create_server(("127.0.0.1", 0)) as server:
            refuse_taken_port(place, chosen(place, port=server.getsockname()[1]))

    def test_an_address_of_another_machine_is_named(self, place: Place, listed: list[str]):
        variables = chosen(place, "CORPUS_API_ADDRESS=192.0.2.1\n")
        with pytest.raises(ClusterError, match=r"192\.0\.2\.1, which this machine does not have"):
            refuse_taken_port(place, variables)
