"""Checks of Debian's packages: those that are missing, and what would keep apt from installing them."""

from __future__ import annotations

import importlib.util
import os
import shutil
import sysconfig
from pathlib import Path

from deploy.common import shell
from deploy.common.doctor.finding import Answer, ok, warn, wrong

_OWN = "corpus-airflow"
_LOCKS = (
    "/var/lib/dpkg/lock-frontend",
    "/var/lib/dpkg/lock",
    "/var/lib/apt/lists/lock",
    "/var/cache/apt/archives/lock",
)
_DPKG = Path("/var/lib/dpkg")
_TOLD = 4
_STATES = "${Package} ${db:Status-Status}\\n"
_HALF = ("half-configured", "half-installed", "unpacked")


def packages() -> Answer:
    """Whether the packages are there that a start needs, or can be installed by it."""
    names = " ".join(_missing())
    if not names:
        return ok("what is needed is installed")
    install = f"apt-get install -y --no-install-recommends {names}"
    if shutil.which("apt-get") is None:
        return wrong(f"Programs are missing, of Debian's packages {names}.", "Install them.")
    if fault := _interrupted() or _lock_holder():
        return fault
    if os.geteuid() == 0:
        return ok(f"{names}: not here yet; the start installs them")
    done = shell.run(["sudo", "-n", "true"], seconds=1) if shutil.which("sudo") else None
    if done and done.returncode == 0:
        return ok(f"{names}: not here yet; the start installs them, with sudo")
    return wrong(f"Debian packages are missing: {names}.", f"Type this: sudo {install}")


def program(name: str, needed_by: str) -> Answer:
    """Whether a program is there whose package has the same name, and which no start installs."""
    found = shutil.which(name)
    if found is None:
        return wrong(
            f"There is no program {name}, which {needed_by} calls.",
            f"As root: apt-get install {name}",
        )
    return ok(found)


def apt() -> Answer:
    """Whether packages could be installed now, and those that are there are whole."""
    if not _DPKG.is_dir() or shutil.which("dpkg-query") is None:
        return ok("this is not a Debian")
    return _interrupted() or _half_installed() or _lock_holder() or ok("packages are whole")


def _missing() -> list[str]:
    """Packages without which no virtual environment of this interpreter can be made."""
    missing = []
    if importlib.util.find_spec("ensurepip") is None or importlib.util.find_spec("venv") is None:
        missing.append("python3-venv")
    if shutil.which("g++") is None:
        missing.append("g++")
    if not os.path.isfile(Path(sysconfig.get_path("include"), "Python.h")):
        missing.append("python3-dev")
    return missing


def _interrupted() -> Answer | None:
    # What dpkg was about to write down; apt refuses to work while there is any.
    updates = _DPKG / "updates"
    if updates.is_dir() and any(one.name.isdecimal() for one in updates.iterdir()):
        if holder := _lock_holder():
            return holder
        return wrong(
            "dpkg was interrupted, and until that is mended no package can be installed.",
            "As root: dpkg --configure -a",
        )
    return None


def _half_installed() -> Answer | None:
    said = shell.run(["dpkg-query", "--show", "--showformat", _STATES], seconds=1).stdout
    states = dict(line.split() for line in said.splitlines())
    names = [name for name, state in states.items() if state in _HALF]
    if not names:
        return None
    dots = ", ..." if len(names) > _TOLD else ""
    what = f"Packages are half installed: {', '.join(names[:_TOLD])}{dots}"
    judge = wrong if _OWN in names else warn
    return judge(what, "As root: dpkg --configure -a, or apt-get --fix-broken install")


def _lock_holder() -> Answer | None:
    """Who holds a lock of apt or dpkg, as the kernel lists it for everybody."""
    inodes = {}
    for name in _LOCKS:
        if Path(name).exists():
            found = os.stat(name)
            place = f"{os.major(found.st_dev):02x}:{os.minor(found.st_dev):02x}:{found.st_ino}"
            inodes[place] = name
    # 1: POSIX  ADVISORY  WRITE 1234 fe:00:12345 0 EOF
    for line in Path("/proc/locks").read_text().splitlines():
        words = line.split()
        if "->" not in words and words[5] in inodes:
            return warn(
                f"Another program installs packages: {_name(words[4])} holds {inodes[words[5]]}.",
                "Wait for its end; what is started waits, too.",
            )
    return None


def _name(pid: str) -> str:
    try:
        return f"{Path('/proc', pid, 'comm').read_text().strip()} (process {pid})"
    except OSError:
        return f"process {pid}"
