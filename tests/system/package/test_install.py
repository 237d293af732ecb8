"""apt and the package, in a clean Debian 12: installed, upgraded, downgraded, refused, removed, purged."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
from pathlib import Path

import pytest

from deploy.host.manifest import Manifest
from tests.system.package.packages import Packages
from tests.system.package.roots import Root, base

pytestmark = pytest.mark.skipif(os.geteuid() != 0, reason="roots are made and entered by root")

STATE = "/var/lib/corpus-airflow"
DAG = Path("dags", "corpus_update.py")


def version_of(deb: Path) -> str:
    done = subprocess.run(
        ["dpkg-deb", "--field", deb, "Version"], check=True, capture_output=True, text=True
    )
    return done.stdout.strip()


def break_a_dag(tree: Path) -> None:
    (tree / DAG).write_text("def broken(:\n")


def change_the_settings(tree: Path) -> None:
    file = tree / "debian" / "corpus.toml"
    file.write_text(file.read_text() + "\n# A line of the new version.\n")


@pytest.fixture(scope="module")
def clean(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return base(Path(os.environ.get("WORK", ".work")).absolute() / "package" / "root")


@pytest.fixture
def root(clean: Path, tmp_path: Path) -> Root:
    return Root(clean, tmp_path / "root")


@pytest.fixture
def installed(root: Root, older_deb: Path) -> Root:
    """A root with the older package."""
    done = root.install(older_deb)
    assert done.returncode == 0, done.stdout
    return root


def current(root: Root) -> str:
    return root.says("readlink", f"{STATE}/releases/current")


def releases(root: Root) -> list[str]:
    return sorted(root.says("ls", f"{STATE}/releases").split())


def dpkg_state(root: Root) -> str:
    return root.says("dpkg-query", "-W", "-f", "${Status} ${Version}", "corpus-airflow")


def test_after_an_install_the_packages_code_is_the_current_release(root: Root, deb: Path):
    done = root.install(deb, umask=0o077)
    assert done.returncode == 0, done.stdout
    version = version_of(deb)
    assert current(root) == version
    assert f"{version} is current" in done.stdout
    release = root.folder / "upper" / STATE[1:] / "releases" / version
    Manifest.read(release).check(release)
    # Containers read it as another user.
    assert not root.says("find", f"{STATE}/releases/{version}", "-not", "-perm", "-o=r")
    report = root.says("corpus-airflow", "releases", "--json")
    assert version in json.dumps(json.loads(report))


def test_folders_are_for_whom_the_containers_run_as(installed: Root):
    names = ("releases", "state", "logs", "scratch", "corpus")
    found = installed.says(
        "stat", "-c", "%n %u:%g %a", STATE, *(f"{STATE}/{name}" for name in names)
    )
    assert found.splitlines() == [
        f"{STATE} 0:0 755",
        f"{STATE}/releases 0:0 755",
        f"{STATE}/state 0:0 755",
        f"{STATE}/logs 50000:50000 750",
        f"{STATE}/scratch 50000:50000 700",
        f"{STATE}/corpus 50000:50000 750",
    ]


def test_a_folder_that_was_there_keeps_its_owner(root: Root, older_deb: Path):
    root.says("install", "-d", "-m", "2770", "-o", "1234", "-g", "5678", f"{STATE}/logs")
    assert root.install(older_deb).returncode == 0
    assert root.says("stat", "-c", "%u:%g %a", f"{STATE}/logs") == "1234:5678 2770"


def test_an_upgrade_goes_on_and_a_downgrade_back_and_both_releases_stay(
    installed: Root, deb: Path, older_deb: Path
):
    old, new = version_of(older_deb), version_of(deb)
    assert current(installed) == old
    done = installed.install(deb)
    assert done.returncode == 0, done.stdout
    assert current(installed) == new
    assert releases(installed) == sorted(["current", old, new])
    done = installed.install(older_deb, "--allow-downgrades")
    assert done.returncode == 0, done.stdout
    assert current(installed) == old
    assert releases(installed) == sorted(["current", old, new])
    assert installed.says("corpus-airflow", "switch", new) is not None
    assert current(installed) == new


def test_until_it_is_configured_what_was_current_is_current_and_whole(
    installed: Root, deb: Path, older_deb: Path
):
    """As after a power cut between dpkg's two steps."""
    shutil.copy(deb, installed.folder / "upper" / "packages")
    installed.says("dpkg", "--unpack", f"/packages/{deb.name}")
    old = version_of(older_deb)
    assert current(installed) == old
    release = installed.folder / "upper" / STATE[1:] / "releases" / old
    Manifest.read(release).check(release)
    installed.says("dpkg", "--configure", "-a")
    assert current(installed) == version_of(deb)


def test_when_all_processes_are_killed_one_release_is_current_and_the_rest_can_be_made_up_for(
    installed: Root, deb: Path, older_deb: Path
):
    """dpkg too, as by a power cut; test_atomicity.py kills what it starts, at many moments."""
    old, new = version_of(older_deb), version_of(deb)
    shutil.copy(deb, installed.folder / "upper" / "packages")
    installed.says("dpkg", "--unpack", f"/packages/{deb.name}")
    # The shell is the first process of its name space: with it, all others are killed.
    installed("sh", "-c", "dpkg --configure -a > /dev/null & sleep 0.35")
    assert current(installed) in {old, new}
    release = installed.folder / "upper" / STATE[1:] / "releases" / current(installed)
    Manifest.read(release).check(release)
    installed.says("dpkg", "--configure", "-a")
    assert current(installed) == new
    assert releases(installed) == sorted(["current", old, new])
    assert not installed.says("find", f"{STATE}/releases", "-name", ".new-*")


def test_an_edited_setting_outlasts_upgrades(installed: Root, build: Packages, deb: Path):
    file = installed.folder / "upper" / "etc/corpus-airflow/corpus.toml"
    added = file.with_name("conf.d") / "site.toml"
    edited = file.read_text().replace("/var/lib/corpus-airflow/corpus", "s3://bucket/corpus")
    file.write_text(edited)
    installed.says("sh", "-c", "echo 'runner = \"docker\"' > /etc/corpus-airflow/conf.d/site.toml")
    done = installed.install(deb)
    assert done.returncode == 0, done.stdout
    assert installed.says("cat", "/etc/corpus-airflow/corpus.toml") == edited.rstrip("\n")
    changed = build("9.0.0", change_the_settings)
    done = installed.install(changed, "-o", "Dpkg::Options::=--force-confold")
    assert done.returncode == 0, done.stdout
    assert file.read_text() == edited
    assert "A line of the new version" in file.with_name("corpus.toml.dpkg-dist").read_text()
    assert added.read_text() == 'runner = "docker"\n'


def test_a_package_whose_dag_does_not_compile_leaves_the_old_release_running(
    installed: Root, build: Packages, deb: Path, older_deb: Path
):
    old = version_of(older_deb)
    done = installed.install(build("9.1.0", break_a_dag))
    assert done.returncode != 0
    assert f"{DAG}:1:" in done.stdout
    assert f"{old} stays current" in done.stdout
    assert "whatever was current still is" in done.stdout
    assert current(installed) == old
    assert releases(installed) == sorted(["current", old])
    assert dpkg_state(installed) == "install ok half-configured 9.1.0"
    # The way on and the way back are the same: a good package.
    done = installed.install(deb, "--allow-downgrades")
    assert done.returncode == 0, done.stdout
    assert current(installed) == version_of(deb)
    assert dpkg_state(installed) == f"install ok installed {version_of(deb)}"
    assert "9.1.0" not in releases(installed)


def test_a_package_whose_files_are_not_those_that_were_built_is_refused(
    installed: Root, deb: Path, older_deb: Path
):
    shutil.copy(deb, installed.folder / "upper" / "packages")
    installed.says("dpkg", "--unpack", f"/packages/{deb.name}")
    installed.says("sh", "-c", f"echo 1 >> /usr/share/corpus-airflow/payload/{DAG}")
    done = installed("dpkg", "--configure", "-a")
    assert done.returncode != 0
    assert f"{DAG} was changed" in done.stdout
    assert current(installed) == version_of(older_deb)


def test_a_first_install_that_fails_can_be_purged(root: Root, build: Packages):
    before = root.files()
    done = root.install(build("9.1.0", break_a_dag))
    assert done.returncode != 0
    assert "no release is current" in done.stdout
    root.says("apt-get", "purge", "-q", "-y", "corpus-airflow")
    assert root.files() == before


def test_timers_are_enabled_and_an_administrators_word_counts(installed: Root, deb: Path):
    folder = "/etc/systemd/system/timers.target.wants"

    def enabled() -> list[str]:
        found = installed.says("ls", folder).split()
        return [name for name in found if name.startswith("corpus")]

    timers = [f"corpus-airflow-{name}.timer" for name in ("database", "logs", "prune", "reaper")]
    assert enabled() == timers
    # What `systemctl disable` does; nothing of systemd runs here.
    installed.says("rm", f"{folder}/{timers[0]}")
    assert installed.install(deb).returncode == 0
    assert enabled() == timers[1:]


def test_what_removal_leaves_goes_on_running(installed: Root, older_deb: Path):
    installed.says("apt-get", "remove", "-q", "-y", "corpus-airflow")
    assert current(installed) == version_of(older_deb)
    installed.says("test", "-f", "/etc/corpus-airflow/corpus.toml")
    assert installed("corpus-airflow", "--help").returncode != 0
    assert installed.install(older_deb).returncode == 0
    assert current(installed) == version_of(older_deb)


def test_a_purge_leaves_nothing(root: Root, deb: Path):
    before = root.files()
    assert root.install(deb).returncode == 0
    root.says("corpus-airflow", "status")
    root.says("touch", f"{STATE}/logs/task.log", f"{STATE}/scratch/left")
    assert root.files() - before
    root.says("apt-get", "purge", "-q", "-y", "corpus-airflow")
    assert root.files() == before


def test_a_purge_keeps_a_corpus_and_says_so(installed: Root):
    installed.says("sh", "-c", f"echo data > {STATE}/corpus/file")
    said = installed.says("apt-get", "purge", "-q", "-y", "corpus-airflow")
    assert f"{STATE}/corpus is kept, since it is not empty" in said
    assert installed.says("find", STATE, "-type", "f") == f"{STATE}/corpus/file"


def test_a_purge_keeps_what_other_hosts_may_share(installed: Root):
    logs = f"{STATE}/logs"
    script = f"touch {logs}/theirs && apt-get purge -q -y corpus-airflow && ls {logs}"
    said = installed.says("sh", "-c", script, tmpfs=logs)
    assert f"{STATE}/logs is a mounted file system, and is kept" in said
    assert said.endswith("theirs")


@pytest.mark.parametrize(
    ("mounted", "told"),
    [
        (STATE, f"{STATE} is a mounted file system, and is kept"),
        (f"{STATE}/logs/shared", f"{STATE}/logs is kept, as far as it could not be removed"),
    ],
)
def test_a_purge_keeps_what_is_mounted_above_and_below(installed: Root, mounted: str, told: str):
    installed.says("mkdir", "-p", f"{STATE}/logs/shared")
    file = f"{STATE}/logs/shared/theirs"
    script = f"mkdir -p {STATE}/logs/shared && touch {file} && apt-get purge -q -y corpus-airflow && ls {file}"
    said = installed.says("sh", "-c", script, tmpfs=mounted)
    assert told in said
    assert said.endswith(file)
