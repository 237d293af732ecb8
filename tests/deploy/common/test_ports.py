"""Ports of this machine: which are free, and who holds one."""

from __future__ import annotations

import os
import socket

import pytest

from deploy.common.ports import free_port, holder, is_free

pytestmark = pytest.mark.fast


def test_a_port_that_somebody_listens_on_is_not_free_and_its_holder_is_named():
    with socket.create_server(("127.0.0.1", 0)) as server:
        port = server.getsockname()[1]
        assert not is_free(port)
        assert not is_free(port, "0.0.0.0")
        assert f"(process {os.getpid()})" in str(holder(port))
    assert is_free(port)


def test_a_port_that_nobody_listens_on_has_no_holder():
    port = free_port()
    assert is_free(port)
    assert holder(port) is None


def test_connections_that_have_ended_are_in_nobodys_way():
    with socket.create_server(("127.0.0.1", 0)) as server:
        address = server.getsockname()
        with socket.create_connection(address) as client:
            served, _ = server.accept()
            # The server's end closes first, so its address goes into TIME_WAIT.
            served.close()
            client.recv(1)
    assert is_free(address[1])


def test_an_address_of_another_machine_is_an_error():
    with pytest.raises(OSError, match="assign"):
        is_free(8080, "192.0.2.1")
