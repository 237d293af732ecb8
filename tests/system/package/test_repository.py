"""The apt repository: what publishing does, what apt takes from it in a clean Debian 12, and what it refuses."""

from __future__ import annotations

import functools
import http.server
import os
import shutil
import subprocess
import threading
from collections.abc import Callable
from pathlib import Path

import pytest

from deploy.build.package.programs import output
from deploy.build.package.repository import KEY_FILE, Deb, Repository
from deploy.common.errors import BadKeyError, BadPackageError, ProgramError
from tests.system.package.apt_host import AptHost, published
from tests.system.package.packages import Packages
from tests.system.package.roots import Root, base

pytestmark = [
    pytest.mark.skipif(not shutil.which("aptly"), reason="aptly is not installed"),
    pytest.mark.timeout(900),
]
needs_root = pytest.mark.skipif(os.geteuid() != 0, reason="roots are made and entered by root")


@pytest.fixture(scope="module")
def tiny(tmp_path_factory: pytest.TempPathFactory) -> Callable[..., Path]:
    """`tiny(version, text="")`: a package of our name with nothing in it; of another text, another file."""
    folder = tmp_path_factory.mktemp("tiny")

    @functools.cache
    def make(version: str, text: str = "", name: str = "corpus-airflow") -> Path:
        tree = folder / "tree" / f"{name}-{version}-{text}"
        (tree / "DEBIAN").mkdir(parents=True, exist_ok=True)
        (tree / "DEBIAN" / "control").write_text(
            f"Package: {name}\nVersion: {version}\nArchitecture: all\n"
            f"Maintainer: Nobody <nobody@example.org>\nDescription: nothing {text}\n"
        )
        tree.chmod(0o755)
        target = folder / f"{name}_{version}_{text}_all.deb"
        output("dpkg-deb", "--root-owner-group", "--build", str(tree), str(target))
        return target

    return make


@pytest.fixture(scope="module")
def other_key(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A file with somebody else's secret key."""
    repository = Repository(tmp_path_factory.mktemp("other"))
    file = repository.folder / "secret.asc"
    with repository.keys() as keys:
        keys.choose()
        file.write_text(
            output("gpg", "--armor", "--export-secret-keys", environment=keys.environment)
        )
    return file


def state(folder: Path) -> dict[str, tuple[int, int]]:
    """What is there, down to the moment of the last change."""
    return {
        str(path.relative_to(folder)): (path.stat().st_mtime_ns, path.stat().st_size)
        for path in folder.rglob("*")
        if path.is_file()
    }


def test_a_version_that_is_there_changes_nothing_and_another_keeps_it(
    tiny: Callable[..., Path], tmp_path: Path
):
    repository = Repository(tmp_path)
    assert repository.add([tiny("1.0.0")])
    before = state(repository.public)
    assert not repository.add([tiny("1.0.0")])
    assert state(repository.public) == before
    assert repository.add([tiny("1.1.0~rc1"), tiny("1.1.0")])
    assert repository.published().keys() == {"1.0.0", "1.1.0~rc1", "1.1.0"}
    pool = {Deb.read(file).sha256 for file in repository.public.rglob("*.deb")}
    assert pool == set(repository.published().values())


def test_a_version_is_never_another_build(tiny: Callable[..., Path], tmp_path: Path):
    repository = published(tmp_path, tiny("1.0.0"))
    before = state(repository.public)
    with pytest.raises(BadPackageError, match=r"1\.0\.0 was published with other contents"):
        repository.add([tiny("1.0.0", "otherwise"), tiny("1.2.0")])
    assert state(repository.public) == before


def test_what_is_no_package_of_ours_is_refused(tiny: Callable[..., Path], tmp_path: Path):
    repository = Repository(tmp_path / "apt")
    no_package = tmp_path / "no.deb"
    no_package.write_text("This is no package at all.\n")
    with pytest.raises(BadPackageError, match="make deb"):
        repository.add([tmp_path / "missing.deb"])
    with pytest.raises(ProgramError, match="not a Debian format archive"):
        repository.add([no_package])
    with pytest.raises(BadPackageError, match="is the package malware"):
        repository.add([tiny("1.0.0", name="malware")])
    assert not repository.public.exists()


def test_a_publication_that_was_killed_is_made_good(tiny: Callable[..., Path], tmp_path: Path):
    """The signature comes last: without it, or with that of an earlier index, apt does not see the rest."""
    repository = published(tmp_path, tiny("1.0.0"))
    signed = repository.public / "dists" / "bookworm" / "InRelease"
    earlier = signed.read_bytes()
    repository.add([tiny("1.1.0")])
    signed.write_bytes(earlier)
    assert repository.add([tiny("1.1.0")])
    assert signed.read_bytes() != earlier
    assert not repository.add([tiny("1.1.0")])


def test_the_key_is_chosen_kept_and_nobody_elses(
    tiny: Callable[..., Path], tmp_path: Path, other_key: Path
):
    repository = published(tmp_path / "a-folder-so-deep" / ("x" * 100), tiny("1.0.0"))
    own = (repository.public / KEY_FILE).read_text()
    assert (repository.folder / "keys").stat().st_mode & 0o077 == 0
    assert not list(repository.public.rglob("*private*"))
    # The same packages by another key: signed anew, and so from then on.
    assert repository.add([], other_key)
    other = (repository.public / KEY_FILE).read_text()
    assert own != other
    repository.add([tiny("1.1.0")])
    assert (repository.public / KEY_FILE).read_text() == other
    for wrong in (tmp_path / "missing.asc", repository.public / KEY_FILE):
        with pytest.raises(BadKeyError):
            repository.add([tiny("1.2.0")], wrong)
    assert "1.2.0" not in repository.published()


def test_apt_of_this_machine_takes_it_over_http(
    tiny: Callable[..., Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    repository = published(tmp_path / "apt", tiny("1.0.0"), tiny("1.1.0"))
    serve = functools.partial(http.server.SimpleHTTPRequestHandler, directory=repository.public)
    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), serve)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    for part in ("lists", "cache/archives/partial", "etc", "state"):
        (tmp_path / part).mkdir(parents=True)
    source = tmp_path / "etc" / "sources.list"
    source.write_text(
        f"deb [signed-by={repository.public / KEY_FILE}] http://127.0.0.1:{server.server_port} bookworm main\n"
    )
    options = [
        *("-o", f"Dir::Etc::SourceList={source}", "-o", "Dir::Etc::SourceParts=/dev/null"),
        *("-o", f"Dir::State::Lists={tmp_path}/lists", "-o", f"Dir::Cache={tmp_path}/cache"),
        *("-o", f"Dir::State::status={tmp_path}/state/status", "-o", "APT::Sandbox::User=root"),
        *("-o", "Acquire::http::Proxy=DIRECT"),
    ]
    (tmp_path / "state" / "status").touch()
    monkeypatch.chdir(tmp_path)
    try:
        output("apt-get", "update", "--error-on=any", *options)
        output("apt-get", "download", "corpus-airflow=1.0.0", *options)
    finally:
        server.shutdown()
    assert (
        Deb.read(tmp_path / "corpus-airflow_1.0.0_all.deb").sha256
        == (repository.published()["1.0.0"])
    )


# In a clean root


@pytest.fixture
def root(tmp_path: Path) -> Root:
    work = Path(os.environ.get("WORK", ".work")).absolute()
    return Root(base(work / "package" / "root"), tmp_path / "root")


@needs_root
def test_apt_installs_upgrades_and_downgrades(
    deb: Path, older_deb: Path, build: Packages, root: Root, tmp_path: Path
):
    repository = published(tmp_path / "apt", older_deb)
    host = AptHost(root, repository)
    assert host.update().returncode == 0
    done = host.install("corpus-airflow")
    assert done.returncode == 0, done.stdout
    assert host.version == host.current == "0.0.1"

    repository.add([deb])
    host.sync(repository)
    assert host.update().returncode == 0
    newest = Deb.read(deb).version
    done = host.install("corpus-airflow")
    assert done.returncode == 0, done.stdout
    assert host.version == host.current == newest

    done = host.install("corpus-airflow=0.0.1", "--allow-downgrades")
    assert done.returncode == 0, done.stdout
    assert host.version == host.current == "0.0.1"
    assert root.says("corpus-airflow", "rollback")
    assert host.current == newest


def change_a_byte(file: Path) -> None:
    content = bytearray(file.read_bytes())
    content[len(content) // 2] ^= 1
    file.write_bytes(content)


@needs_root
def test_a_package_that_was_tampered_with_is_refused(
    tiny: Callable[..., Path], root: Root, tmp_path: Path
):
    host = AptHost(root, published(tmp_path / "apt", tiny("1.0.0")))
    assert host.update().returncode == 0
    (stored,) = host.mirror.rglob("*.deb")
    change_a_byte(stored)
    done = host.install("corpus-airflow")
    assert done.returncode == 100
    assert "Hash Sum mismatch" in done.stdout
    assert host.version is None


@needs_root
@pytest.mark.parametrize(
    ("part", "said"),
    [
        ("Packages*", "Hash Sum mismatch"),
        ("InRelease", "invalid"),
    ],
)
def test_an_index_that_was_tampered_with_is_refused(
    tiny: Callable[..., Path], root: Root, tmp_path: Path, part: str, said: str
):
    repository = published(tmp_path / "apt", tiny("1.0.0"))
    host = AptHost(root, repository)
    if part == "InRelease":
        # Of the text that is signed, and still a text that could be read.
        signed = host.mirror / "dists" / "bookworm" / part
        signed.write_text(signed.read_text().replace("Codename: bookworm", "Codename: bookwarm"))
    else:
        changed = [*host.mirror.rglob(part), *host.mirror.rglob("by-hash/*/*")]
        assert changed
        for file in changed:
            change_a_byte(file)
    done = host.update()
    assert done.returncode == 100, done.stdout
    assert said.lower() in done.stdout.lower()
    assert host.install("corpus-airflow").returncode == 100
    assert host.version is None


@needs_root
@pytest.mark.parametrize("known", [False, True], ids=["from the first", "after a good one"])
def test_a_repository_that_another_key_has_signed_is_refused(
    tiny: Callable[..., Path], root: Root, tmp_path: Path, other_key: Path, known: bool
):
    good = published(tmp_path / "apt", tiny("1.0.0"))
    host = AptHost(root, good)
    if known:
        assert host.update().returncode == 0
    host.sync(published(tmp_path / "other", tiny("1.0.0"), tiny("9.9.9"), key=other_key))
    done = host.update()
    assert done.returncode == 100, done.stdout
    assert "NO_PUBKEY" in done.stdout
    assert host.install("corpus-airflow=9.9.9").returncode == 100
    assert host.version is None


def test_make_says_what_is_published(tiny: Callable[..., Path], tmp_path: Path):
    made = subprocess.run(
        ["make", "-s", "apt-repo", f"REPO={tmp_path}/apt", f"DEB={tiny('1.0.0')}"],
        check=True,
        capture_output=True,
        text=True,
        cwd=Path(__file__).parents[3],
    )
    assert "Published." in made.stdout
    assert "1.0.0" in made.stdout
    assert f"deb [signed-by={tmp_path}/apt/public/{KEY_FILE}] file://{tmp_path}" in made.stdout
