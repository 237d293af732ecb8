"""What the Debian package costs: its size, its build, and an installation, an upgrade and a downgrade on a host.

    python bench/package.py --repeat 5

Baseline: dpkg installs the same files without the package's scripts, in the same clean Debian 12; what comes on top is
the check of the payload, its copy as a release, and the flip. The median of several counts. Roots are made and entered
by root.
"""

from __future__ import annotations

import argparse
import os
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

from common import table

REPO = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(REPO))

from corpus.contract.version import Version  # noqa: E402
from deploy.build.package.build import Built, build  # noqa: E402
from deploy.build.package.source import export  # noqa: E402
from tests.system.package.roots import Root, base  # noqa: E402


def main() -> int:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--repeat", type=int, default=5)
    parser.add_argument("--work", type=Path, default=Path(".work"))
    options = parser.parse_args()
    if os.geteuid() != 0:
        print("Skipped: roots are made and entered by root.")
        return 0
    table.show_load()
    with tempfile.TemporaryDirectory() as folder:
        measure(Path(folder), options.work.absolute() / "package" / "root", options.repeat)
    return 0


def measure(folder: Path, clean: Path, repeat: int) -> None:
    old, new = made(folder / "old", "1.0.0"), made(folder / "new", "1.1.0")
    bare = without_scripts(old.deb, folder / "bare")
    root = Root(base(clean), folder / "root")
    for deb in (old.deb, new.deb):
        shutil.copy(deb, packages(root))
    shutil.copy(bare, packages(root) / "bare.deb")

    def dpkg(*words: str) -> Callable[[], None]:
        return lambda: succeed(root, "dpkg", *words)

    purge = dpkg("--purge", "corpus-airflow")
    first = [timed(dpkg("-i", f"/packages/{old.deb.name}"), after=purge) for _ in range(repeat)]
    plain = [timed(dpkg("-i", "/packages/bare.deb"), after=purge) for _ in range(repeat)]
    succeed(root, "dpkg", "-i", f"/packages/{old.deb.name}")

    def no_release() -> None:
        """So that the next installation has to copy it again."""
        succeed(root, "rm", "-r", "/var/lib/corpus-airflow/releases/1.1.0")

    up, down = [], []
    for _ in range(repeat):
        up.append(timed(dpkg("-i", f"/packages/{new.deb.name}")))
        down.append(timed(dpkg("-i", f"/packages/{old.deb.name}"), after=no_release))
    payload = sum(
        file.stat().st_size
        for file in (root.folder / "upper/usr/share/corpus-airflow/payload").rglob("*")
        if file.is_file()
    )
    release = sum(
        file.stat().st_size
        for file in (root.folder / "upper/var/lib/corpus-airflow/releases/1.0.0").rglob("*")
        if file.is_file()
    )
    reference = statistics.median(plain)
    table.show(
        ["what", "figure", "beside dpkg alone"],
        [
            ["package, kB", old.deb.stat().st_size / 1e3, ""],
            ["payload, MB", payload / 1e6, ""],
            ["a release, compiled, MB", release / 1e6, ""],
            ["build without its tests, s", old.seconds, ""],
            ["dpkg alone, s", reference, 1.0],
            *(
                [name, statistics.median(took), statistics.median(took) / reference]
                for name, took in (
                    ("installation, s", first),
                    ("upgrade, s", up),
                    ("downgrade to a release that is here, s", down),
                )
            ),
        ],
    )


def made(folder: Path, version: str) -> Built:
    source = export(REPO, folder / "source", version=Version.parse(version))
    return build(source, folder, binary_only=True, check=False)


def without_scripts(deb: Path, folder: Path) -> Path:
    """The same files as a package that does nothing."""
    subprocess.run(["dpkg-deb", "--raw-extract", deb, folder], check=True)
    for script in ("postinst", "prerm", "postrm", "preinst"):
        (folder / "DEBIAN" / script).unlink(missing_ok=True)
    target = folder.with_suffix(".deb")
    subprocess.run(["dpkg-deb", "--root-owner-group", "--build", folder, target], check=True,
                   stdout=subprocess.DEVNULL)  # fmt: skip
    return target


def packages(root: Root) -> Path:
    folder = root.folder / "upper" / "packages"
    folder.mkdir(exist_ok=True)
    return folder


def succeed(root: Root, *command: str) -> None:
    done = root(*command)
    if done.returncode:
        raise SystemExit(done.stdout)


def timed(work: Callable[[], None], after: Callable[[], None] = lambda: None) -> float:
    start = time.perf_counter()
    work()
    took = time.perf_counter() - start
    after()
    return took


if __name__ == "__main__":
    sys.exit(main())
