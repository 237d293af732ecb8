"""Nobody who reads sees two releases at once, or half of one: not while versions come and go, not after a kill."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from itertools import pairwise
from pathlib import Path

import pytest

from deploy.host.manifest import PACKAGES, Manifest
from tests.support.full import FULL
from tests.system.package.packages import Packages
from tests.system.package.roots import Root, base

pytestmark = [
    pytest.mark.skipif(os.geteuid() != 0, reason="roots are made and entered by root"),
    pytest.mark.timeout(1800),
]

VERSIONS = ("1.0.0", "1.1.0", "1.2.0")
INSTALLS = 52 if FULL else 12
# Moments at which what configures the package is killed, in milliseconds after its first file.
KILLS_MS = (0, 10, 30, 60, 100, 150, 250, 400) if FULL else (0, 30, 100, 250)
LOOKS = 5000
STATE = "var/lib/corpus-airflow/releases"


def marked(version: str) -> Callable[[Path], None]:
    """Each module says its release, and the DAGs import modules that no other release has."""

    def change(tree: Path) -> None:
        only = f"only_in_{version.replace('.', '_')}"
        for package in ("corpus", "operators"):
            (tree / package / f"{only}.py").touch()
        for file in (tree / "dags").glob("*.py"):
            imports = f"import corpus.{only}\nimport operators.{only}\n"
            file.write_text(f"{file.read_text()}\n{imports}")
        for package in PACKAGES:
            for file in (tree / package).rglob("*.py"):
                file.write_text(f"{file.read_text()}\nRELEASE = {version!r}\n")

    return change


@pytest.fixture(scope="module")
def debs(build: Packages) -> dict[str, Path]:
    return {version: build(version, marked(version)) for version in VERSIONS}


@pytest.fixture
def root(tmp_path: Path, debs: dict[str, Path]) -> Root:
    """A root with the first version, and all of them in /packages."""
    work = Path(os.environ.get("WORK", ".work")).absolute()
    made = Root(base(work / "package" / "root"), tmp_path / "root")
    for version in reversed(VERSIONS):
        done = made.install(debs[version], "--allow-downgrades")
        assert done.returncode == 0, done.stdout
    for version in VERSIONS[1:]:
        made.says("rm", "-r", f"/{STATE}/{version}")
    # Whatever may go does.
    config = made.folder / "upper" / "packages" / "prune.toml"
    config.write_text("[releases]\nkept = 1\nunasked_days = 0\n")
    return made


def releases(root: Root) -> Path:
    """Their folder as another mount name space has it: a container's, or this one."""
    return root.folder / "upper" / STATE


class Verifier:
    """Follows the link, and compares what is there with its manifest, as often as it can."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.seen: list[str] = []
        self.faults: list[BaseException] = []

    @contextmanager
    def at_work(self) -> Iterator[None]:
        stop = threading.Event()

        link = self.folder / "current"

        def work() -> None:
            while not stop.is_set():
                try:
                    # A link that is gone for microseconds is found by one who hardly looks away.
                    for _ in range(LOOKS):
                        name = os.readlink(link)
                    manifest = Manifest.read(self.folder / name)
                    manifest.check(self.folder / name)
                    assert manifest.version == name
                    self.seen.append(name)
                except Exception as error:
                    self.faults.append(error)

        thread = threading.Thread(target=work)
        thread.start()
        try:
            yield
        finally:
            stop.set()
            thread.join()


def switches(seen: list[str]) -> int:
    return sum(a != b for a, b in pairwise(seen))


def test_while_versions_come_and_go_every_pass_sees_one_release_and_all_of_it(
    root: Root, debs: dict[str, Path], tmp_path: Path
):
    folder = releases(root)
    errors = tmp_path / "reader.err"
    with errors.open("w") as stderr:
        reader = subprocess.Popen(
            [sys.executable, "-P", Path(__file__).with_name("release_reader.py"), folder],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=stderr,
            text=True,
            env={
                **os.environ,
                "PYTHONPATH": str(folder / VERSIONS[0]),
                "PYTHONDONTWRITEBYTECODE": "1",
                "AIRFLOW_HOME": str(tmp_path / "airflow"),
                "AIRFLOW__CORE__LOAD_EXAMPLES": "False",
                "AIRFLOW__CORE__PLUGINS_FOLDER": str(tmp_path / "plugins"),
                "AIRFLOW__LOGGING__LOGGING_LEVEL": "CRITICAL",
            },
        )
    assert reader.stdin
    assert reader.stdout
    passes = []
    collect = threading.Thread(target=lambda out=reader.stdout: passes.extend(out))
    collect.start()
    verifier = Verifier(folder)

    def looked() -> tuple[int, int]:
        return len(passes), len(verifier.seen) + len(verifier.faults)

    def look_again() -> None:
        """Wait until both readers have begun a pass after this, and ended it."""
        before = looked()
        while reader.poll() is None and any(
            now < then + 2 for now, then in zip(looked(), before, strict=True)
        ):
            time.sleep(0.01)

    said = []
    try:
        with verifier.at_work():
            look_again()
            # Up, up, and down again. All but the current release and the one before go, so each is copied anew.
            for number in range(1, INSTALLS + 1):
                deb = debs[VERSIONS[number % len(VERSIONS)]]
                said.append(root.says("dpkg", "-i", f"/packages/{deb.name}"))
                # What is not current any more is not removed from under who has begun to read it.
                look_again()
                root.says("corpus-airflow", "--config", "/packages/prune.toml", "prune")
        reader.stdin.close()
        assert reader.wait() == 0, errors.read_text()
    finally:
        reader.kill()
        collect.join()
    assert all(" is current" in one and "was here already" not in one for one in said)
    told = [json.loads(line) for line in passes]
    wrong = [one for one in told if one["wrong"]]
    assert not wrong, wrong[:3]
    assert not verifier.faults, verifier.faults[:3]
    # They did look while it changed, and all the releases were seen.
    seen = [one["version"] for one in told]
    assert set(seen) == set(verifier.seen) == set(VERSIONS)
    assert min(one["modules"] for one in told) > 20
    assert switches(verifier.seen) == INSTALLS
    print(
        f"{INSTALLS} installations: {len(told)} passes by Airflow saw {switches(seen)} switches, "
        f"{len(verifier.seen)} checks of all files saw {switches(verifier.seen)}"
    )


def below(pid: int) -> Iterator[int]:
    """Processes that a process has started, and those that they have."""
    try:
        children = Path(f"/proc/{pid}/task/{pid}/children").read_text().split()
    except OSError:
        return
    for child in map(int, children):
        yield child
        yield from below(child)


def kill_postinst() -> bool:
    """Kill what configures the package, the script and the command; whether it was there."""
    found = []
    for thread in Path("/proc/self/task").iterdir():
        for pid in map(int, (thread / "children").read_text().split()):
            found += [pid, *below(pid)]
    killed = False
    for pid in found:
        try:
            words = Path(f"/proc/{pid}/cmdline").read_text()
            if "postinst" in words or "corpus-airflow\0install" in words:
                os.kill(pid, signal.SIGKILL)
                killed = True
        except OSError:
            continue
    return killed


def test_a_postinst_that_is_killed_leaves_the_old_release_and_the_next_installation_heals(
    root: Root, debs: dict[str, Path]
):
    old, new = VERSIONS[:2]
    folder = releases(root)
    left_old = 0
    for milliseconds in KILLS_MS:
        answers = []
        install = threading.Thread(
            target=lambda said=answers: said.append(
                root("dpkg", "-i", f"/packages/{debs[new].name}")
            )
        )
        install.start()
        while install.is_alive() and not list(folder.glob(".new-*")):
            time.sleep(0.001)
        time.sleep(milliseconds / 1000)
        killed = kill_postinst()
        install.join()
        current = os.readlink(folder / "current")
        Manifest.read(folder / current).check(folder / current)
        assert current in (old, new)
        if current == old:
            left_old += 1
            assert killed
            assert answers[0].returncode != 0
            status = root.says("dpkg-query", "-W", "-f", "${Status}", "corpus-airflow")
            assert status == "install ok half-configured"
        done = root("dpkg", "--configure", "-a")
        assert done.returncode == 0, done.stdout
        assert os.readlink(folder / "current") == new
        Manifest.read(folder / new).check(folder / new)
        assert root.says("dpkg-query", "-W", "-f", "${Status}", "corpus-airflow") == (
            "install ok installed"
        )
        assert not list(folder.glob(".new-*"))
        # Back, and as if it had never been here.
        assert root("dpkg", "-i", f"/packages/{debs[old].name}").returncode == 0
        root.says("rm", "-r", f"/{STATE}/{new}")
    assert left_old
