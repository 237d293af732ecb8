"""The units of systemd: it understands them, and what they forbid is nothing that the command needs."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from configparser import RawConfigParser
from pathlib import Path

import pytest

from deploy.host.jobs import ALL

REPO = Path(__file__).resolve().parents[3]
SERVICES = sorted((REPO / "debian").glob("*.service"))
TIMERS = sorted((REPO / "debian").glob("*.timer"))
# Goes beside the engine's own docker.socket.
DROP_IN = REPO / "docker" / "docker.socket.conf"
COMPOSE = REPO / "docker" / "compose.yaml"


@pytest.fixture
def elsewhere() -> Iterator[Path]:
    """A folder that all may enter; pytest's own is root's alone."""
    with tempfile.TemporaryDirectory(dir="/var/tmp") as name:
        Path(name).chmod(0o755)
        yield Path(name)


def read(unit: Path) -> RawConfigParser:
    parser = RawConfigParser(strict=False)
    parser.optionxform = str  # type: ignore[assignment,method-assign]
    parser.read_string(unit.read_text())
    return parser


def verified(folder: Path) -> tuple[int, str]:
    """The status of systemd-analyze on the units of a folder, and all that it says."""
    units = [str(path) for path in sorted(folder.iterdir()) if path.is_file()]
    words = ["systemd-analyze", "verify", "--man=no", "--recursive-errors=no", *units]
    done = subprocess.run(words, capture_output=True, text=True)
    return done.returncode, done.stdout + done.stderr


@pytest.mark.skipif(not shutil.which("systemd-analyze"), reason="systemd is not installed here")
def test_systemd_understands_them(tmp_path: Path):
    for unit in (*SERVICES, *TIMERS):
        text = unit.read_text().replace("/usr/bin/corpus-airflow", "/bin/true")
        (tmp_path / unit.name).write_text(text)
    assert verified(tmp_path) == (0, "")


@pytest.mark.skipif(not shutil.which("systemd-analyze"), reason="systemd is not installed here")
def test_systemd_understands_the_engines_second_socket(tmp_path: Path):
    """The drop-in is read with the unit: a line that systemd does not know is told of."""
    (tmp_path / "docker.service").write_text("[Service]\nExecStart=/bin/true\n")
    (tmp_path / "docker.socket").write_text("[Socket]\nListenStream=/run/docker.sock\n")
    copy = tmp_path / "docker.socket.d" / "corpus-airflow.conf"
    copy.parent.mkdir()
    copy.write_text(DROP_IN.read_text())
    assert verified(tmp_path) == (0, "")
    copy.write_text(DROP_IN.read_text() + "NoSuchLine=1\n")
    status, said = verified(tmp_path)
    assert status == 1
    assert "NoSuchLine" in said
    # Where containers look for it.
    assert read(DROP_IN)["Socket"]["ListenStream"] == "/run/corpus-engine/docker.sock"
    assert "CORPUS_ENGINE_FOLDER:-/run/corpus-engine}" in COMPOSE.read_text()


def test_each_periodic_job_has_its_timer_and_its_line_for_cron():
    assert {timer.name for timer in TIMERS} == {job.timer for job in ALL}
    cron = (REPO / "debian" / "cron").read_text()
    for job in ALL:
        timer = REPO / "debian" / job.timer
        service = read(timer.with_suffix(".service"))
        assert service["Service"]["ExecStart"] == f"/usr/bin/corpus-airflow {job.name}"
        assert read(timer)["Timer"]["Persistent"] == "yes"
        daily = job.period.days == 1
        when = r"^\d+ \d+ \* \* \*" if daily else r"^\*/5 \* \* \* \*"
        line = re.search(rf"(?m){when} +root (.*) corpus-airflow {job.name} > /dev/null$", cron)
        assert line
        # As the unit: no capability that the job does not need, and no way to gain one.
        wanted = service["Service"]["CapabilityBoundingSet"].lower().split()
        limits = [name.replace("cap_", "+") for name in wanted]
        assert line[1].endswith(f" $LIMITS {','.join(['-all', *limits])}")
        assert read(timer)["Timer"]["OnCalendar"].startswith("*-*-* " if daily else "*:0/5")


@pytest.mark.skipif(os.geteuid() != 0, reason="only root has capabilities to give up")
@pytest.mark.skipif(not shutil.which("setpriv"), reason="setpriv is not installed here")
def test_the_limits_of_cron_hold():
    (limits,) = re.findall(r"(?m)^LIMITS=(.*)$", (REPO / "debian" / "cron").read_text())
    shell = ["sh", "-c", "$LIMITS -all,+dac_read_search cat /proc/self/status"]
    done = subprocess.run(shell, env={**os.environ, "LIMITS": limits}, capture_output=True, text=True)  # fmt: skip
    assert done.returncode == 0, done.stderr
    status = dict(line.split(":\t", 1) for line in done.stdout.splitlines() if ":\t" in line)
    only_dac_read_search = 1 << 2
    assert int(status["CapBnd"], 16) == int(status["CapEff"], 16) == only_dac_read_search
    assert status["NoNewPrivs"] == "1"


@pytest.mark.parametrize("name", ["logs", "prune"])
def test_folders_that_may_be_anywhere_may_be_in_home(name: str):
    unit = read(REPO / "debian" / f"corpus-airflow-{name}.service")
    assert unit["Service"]["ProtectHome"] == "no"


@pytest.mark.skipif(os.geteuid() != 0, reason="only root has capabilities to give up")
@pytest.mark.skipif(not shutil.which("setpriv"), reason="setpriv is not installed here")
def test_logs_are_cleaned_with_no_more_capabilities_than_the_unit_leaves(elsewhere: Path):
    logs = elsewhere / "logs"
    logs.mkdir(mode=0o700)
    log = logs / "old.log"
    log.touch()
    os.utime(log, (time.time() - 1e7,) * 2)
    os.chown(log, 50000, 50000)
    os.chown(logs, 50000, 50000)
    config = elsewhere / "host.toml"
    config.write_text(f'[logs]\nfolder = "{logs}"\n[state]\nfolder = "{elsewhere / "state"}"\n')
    unit = read(REPO / "debian" / "corpus-airflow-logs.service")
    names = unit["Service"]["CapabilityBoundingSet"].split()
    kept = ",".join(f"+{name.removeprefix('CAP_').lower()}" for name in names)
    code = "import sys; from deploy.host.command import main; sys.exit(main())"
    words = ["setpriv", f"--bounding-set=-all,{kept}", "--no-new-privs", sys.executable, "-c", code]
    done = subprocess.run(
        [*words, "--config", str(config), "clean-logs"], cwd=REPO, capture_output=True, text=True
    )
    assert done.returncode == 0, done.stderr
    assert not log.exists()
