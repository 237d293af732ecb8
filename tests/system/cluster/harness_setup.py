"""What a cluster for tests has that others have not: a small disk for scratch, soon retries, and a dead proxy."""

from __future__ import annotations

import os
import shutil
import subprocess
from pathlib import Path

from deploy.local.cluster.workdir import Place

POLICY = Path(__file__).with_name("airflow_local_settings.py")
SCRATCH_MB = 256
DEAD_PROXY = "http://127.0.0.1:9"


def prepare(place: Place) -> None:
    """To be called before `up`, and again with no harm."""
    policies = place / "code" / "policies"
    policies.mkdir(parents=True, exist_ok=True)
    shutil.copy(POLICY, policies)
    inside = "/opt/corpus-airflow"
    # With a proxy that nobody answers for: none of the cluster's own calls may take it.
    proxies = "".join(f"{name}={DEAD_PROXY}\n" for name in ("http_proxy", "https_proxy"))
    (place / "airflow.env").write_text(f"PYTHONPATH={inside}/current:{inside}/policies\n{proxies}")
    scratch = place / "scratch"
    scratch.mkdir(exist_ok=True)
    if os.geteuid() == 0 and not scratch.is_mount():
        command = ["mount", "-t", "tmpfs", "-o", f"size={SCRATCH_MB}m", "tmpfs", str(scratch)]
        subprocess.run(command, check=True)


def undo(place: Place) -> None:
    """The disk goes when the last container that has it is gone."""
    if (place / "scratch").is_mount():
        subprocess.run(["umount", "--lazy", str(place / "scratch")], check=True)
