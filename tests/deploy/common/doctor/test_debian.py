"""Packages that are missing or half installed, and another apt under way."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

from deploy.common.doctor import debian
from tests.deploy.common.doctor.apart import NOBODY, ask, needs_root

pytestmark = [
    pytest.mark.fast,
    pytest.mark.skipif(shutil.which("dpkg-query") is None, reason="this is not a Debian"),
]

# A dpkg of its own, with one package.
_DPKG = """
mount("/var/lib/dpkg", "size=5m,mode=0755")
folder = Path("/var/lib/dpkg")
(folder / "updates").mkdir()
(folder / "info").mkdir()
def package(name, state):
    (folder / "status").write_text(
        f"Package: {name}\\nStatus: install ok {state}\\nVersion: 1\\nArchitecture: all\\n"
        "Maintainer: nobody <nobody@example.org>\\nDescription: a test\\n\\n"
    )
package("corpus-airflow", "installed")
"""
# As apt does: by another process, which holds it until its input ends.
_HOLD = """
lock = folder / "lock-frontend"
lock.touch()
code = "import fcntl, sys; f = open(sys.argv[1], 'w'); fcntl.lockf(f, fcntl.LOCK_EX); print('held', flush=True); sys.stdin.read()"
holder = subprocess.Popen([sys.executable, "-c", code, lock], stdin=subprocess.PIPE, stdout=subprocess.PIPE)
holder.stdout.readline()
"""
MOUNT = ("--mount",)


@needs_root
def test_whole_packages():
    assert ask("debian.apt()", _DPKG, unshare=MOUNT).what == "packages are whole"


@needs_root
@pytest.mark.parametrize(("name", "status"), [("corpus-airflow", "wrong"), ("other", "warn")])
def test_a_package_that_is_half_installed(name: str, status: str):
    found = ask("debian.apt()", f"{_DPKG}\npackage({name!r}, 'half-configured')", unshare=MOUNT)
    assert (found.status, found.what) == (status, f"Packages are half installed: {name}")
    assert "dpkg --configure -a" in found.do


@needs_root
def test_a_dpkg_that_was_interrupted():
    found = ask("debian.apt()", f"{_DPKG}\n(folder / 'updates' / '0001').touch()", unshare=MOUNT)
    assert (found.status, found.do) == ("wrong", "As root: dpkg --configure -a")


@needs_root
def test_another_program_that_installs():
    found = ask("debian.apt()", f"{_DPKG}\n{_HOLD}\nbecome({NOBODY})", unshare=MOUNT)
    assert found.status == "warn"
    assert "holds /var/lib/dpkg/lock-frontend" in found.what
    assert "(process " in found.what
    # What it is about to write down is not a sign that it was interrupted.
    busy = f"{_DPKG}\n{_HOLD}\n(folder / 'updates' / '0001').touch()"
    assert ask("debian.apt()", busy, unshare=MOUNT).status == "warn"


def only(folder: Path, *programs: str) -> str:
    """What to do first for a PATH with these programs and no other ones."""
    folder.mkdir()
    for name in programs:
        (folder / name).symlink_to(str(shutil.which(name)))
    return f"os.environ['PATH'] = {str(folder)!r}"


def test_programs_that_are_missing_where_there_is_no_apt(tmp_path: Path):
    found = ask("debian.packages()", only(tmp_path / "bin"))
    assert found.status == "wrong"
    assert "g++" in found.what


@needs_root
def test_who_can_install_what_is_missing(tmp_path: Path):
    # Pytest's own folder is closed to others.
    first = "mount('/mnt', 'mode=0755'); os.symlink('/usr/bin/apt-get', '/mnt/apt-get'); os.environ['PATH'] = '/mnt'"
    root = ask("debian.packages()", f"{_DPKG}\n{first}", unshare=MOUNT)
    assert root.status == "ok"
    assert root.what.endswith("not here yet; the start installs them")
    other = ask("debian.packages()", f"{_DPKG}\n{first}; become({NOBODY})", unshare=MOUNT)
    assert other.status == "wrong"
    assert other.do.startswith("Type this: sudo apt-get install -y")
    busy = ask("debian.packages()", f"{_DPKG}\n{_HOLD}\n{first}", unshare=MOUNT)
    assert busy.status == "warn"


def test_a_program_that_no_start_installs():
    assert debian.program("sh", "`make`").status == "ok"
    found = debian.program("no-such-program", "`make cluster-up`")
    assert (found.status, found.do) == ("wrong", "As root: apt-get install no-such-program")
