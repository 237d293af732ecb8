"""A small image for tests that only need something to run: Debian's static busybox, and nothing else."""

from __future__ import annotations

import io
import subprocess
import tarfile
from pathlib import Path

from docker import APIClient
from docker.errors import APIError

NAME = "corpus-test-tiny:2"


def make(client: APIClient, work: Path) -> str:
    """Import it, unless the engine has it; its name. Raises `OSError` where Debian is not reached."""
    if client.images(NAME):
        return NAME
    for command in (
        ["apt-get", "download", "busybox-static"],
        ["sh", "-c", "dpkg-deb --extract busybox-static_*.deb tree"],
    ):
        done = subprocess.run(command, cwd=work, capture_output=True, text=True)
        if done.returncode:
            raise OSError(f"{command[0]}: {done.stderr.strip()}")
    (binary,) = (
        path for path in (work / "tree").rglob("bin/busybox") if path.stat().st_mode & 0o111
    )
    layer = io.BytesIO()
    with tarfile.open(fileobj=layer, mode="w") as archive:
        archive.add(binary, "bin/busybox")
        for name in ("sh", "sleep", "true"):
            link = tarfile.TarInfo(f"bin/{name}")
            link.type, link.linkname = tarfile.SYMTYPE, "busybox"
            archive.addfile(link)
        for name in ("tmp", "proc", "sys", "dev", "etc"):
            folder = tarfile.TarInfo(name)
            folder.type, folder.mode = tarfile.DIRTYPE, 0o755
            archive.addfile(folder)
    repository, _, tag = NAME.partition(":")
    try:
        client.import_image_from_data(layer.getvalue(), repository=repository, tag=tag)
    except APIError as error:
        raise OSError(str(error)) from error
    return NAME
