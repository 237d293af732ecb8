"""The port of an Airflow that is started again: its own, unless somebody else has taken it meanwhile."""

from __future__ import annotations

import os
import socket

import pytest

from deploy.common.ports import free_port, is_free
from deploy.local.embedded.server import port_for

pytestmark = pytest.mark.fast


def test_it_keeps_the_port_that_it_had(capsys: pytest.CaptureFixture[str]):
    port = free_port()
    assert port_for(port) == port
    assert is_free(port_for(None))
    assert capsys.readouterr().out == ""


def test_a_port_that_was_taken_is_left_to_whom_it_is_said_to_belong(
    capsys: pytest.CaptureFixture[str],
):
    with socket.create_server(("127.0.0.1", 0)) as server:
        taken = server.getsockname()[1]
        port = port_for(taken)
    said = capsys.readouterr().out
    assert port != taken
    assert f"Port {taken} is held by " in said
    assert f"(process {os.getpid()}) now: Airflow takes port {port} instead." in said
