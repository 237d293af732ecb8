"""A real nginx with docs/examples/nginx.conf, as a process of this user on ports of its own."""

from __future__ import annotations

import shutil
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import httpx
import pytest

from deploy.common.ports import free_port, is_free

REPO = Path(__file__).resolve().parents[3]
EXAMPLE = REPO / "docs" / "examples" / "nginx.conf"
_MAIN = """\
daemon off;
master_process off;
pid {folder}/nginx.pid;
error_log {folder}/error.log;
events {{}}
http {{
    access_log off;
    client_body_temp_path {folder}/body;
    proxy_temp_path {folder}/proxy;
    fastcgi_temp_path {folder}/fastcgi;
    uwsgi_temp_path {folder}/uwsgi;
    scgi_temp_path {folder}/scgi;
    include {folder}/example.conf;
}}
"""


@dataclass(frozen=True)
class Nginx:
    """The address that users type, without a path, and the certificate that it is believed by."""

    url: str
    certificate: Path


@contextmanager
def nginx(folder: Path, port: int, upstream: int) -> Iterator[Nginx]:
    """The example before the API server at a port of this machine, with a certificate of its own for 127.0.0.1.

    :param port: where it listens with TLS.
    """
    program = _program(folder)
    certificate, key = folder / "certificate.pem", folder / "key.pem"
    subprocess.run(
        [
            *("openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256"),
            *("-nodes", "-days", "2", "-subj", "/CN=127.0.0.1"),
            *("-addext", "subjectAltName=IP:127.0.0.1", "-keyout", key, "-out", certificate),
        ],
        check=True,
        capture_output=True,
    )
    text = EXAMPLE.read_text()
    for old, new in {
        "listen 443 ssl;": f"listen 127.0.0.1:{port} ssl;",
        "listen 80;": f"listen 127.0.0.1:{free_port()};",
        "https://$host/airflow/": f"https://$host:{port}/airflow/",
        "server_name ml.example;": "server_name 127.0.0.1;",
        "/etc/ssl/certs/ml.example.pem": str(certificate),
        "/etc/ssl/private/ml.example.key": str(key),
        "http://127.0.0.1:8080": f"http://127.0.0.1:{upstream}",
    }.items():
        assert old in text, old
        text = text.replace(old, new)
    (folder / "example.conf").write_text(text)
    (folder / "main.conf").write_text(_MAIN.format(folder=folder))
    process = subprocess.Popen(
        [program, "-p", str(folder), "-c", str(folder / "main.conf")],
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    try:
        for _ in range(100):
            if process.poll() is not None or not is_free(port):
                break
            time.sleep(0.1)
        assert process.poll() is None, (folder / "error.log").read_text()
        yield Nginx(f"https://127.0.0.1:{port}", certificate)
    finally:
        process.terminate()
        process.wait()


def client(found: Nginx) -> httpx.Client:
    return httpx.Client(base_url=found.url, verify=str(found.certificate), timeout=60)


def _program(folder: Path) -> str:
    """nginx of this machine, or Debian's, unpacked: to install it would start one."""
    if found := shutil.which("nginx", path="/usr/sbin:/usr/bin"):
        return found
    download = ["apt-get", "download", "nginx"]
    if subprocess.run(download, cwd=folder, capture_output=True).returncode:
        # Lists of packages may be missing, or old.
        subprocess.run(["sh", REPO / "deploy/scripts/apt.sh", "update"], capture_output=True)
        subprocess.run(download, cwd=folder, capture_output=True)
    packages = list(folder.glob("nginx_*.deb"))
    if not packages:
        pytest.skip("there is no nginx, and Debian's packages cannot be reached")
    subprocess.run(["dpkg-deb", "-x", packages[0], folder / "package"], check=True)
    return str(folder / "package" / "usr" / "sbin" / "nginx")
