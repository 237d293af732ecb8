"""One commit has one version, wherever its code has got to: a clone, a wheel, a release on a host."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest

from corpus.contract.version import Code, code_of, describe
from deploy.host.manifest import Manifest
from tests.support.checkouts import Checkout

pytestmark = pytest.mark.skipif(shutil.which("git") is None, reason="git is not installed")

REPO = Path(__file__).resolve().parents[3]
# What setup.py and the version take.
PRODUCT = ("setup.py", "pyproject.toml", ".gitignore", "corpus/__init__.py", "corpus/errors.py", "corpus/contract/__init__.py", "corpus/contract/version.py")  # fmt: skip


@pytest.fixture
def product(tmp_path: Path) -> Checkout:
    """A repository with the part of this one that can be built, and three commits."""
    made = Checkout(tmp_path / "product")
    for name in PRODUCT:
        (made.folder / name).parent.mkdir(exist_ok=True)
        shutil.copy(REPO / name, made.folder / name)
    made.git("add", ".")
    made.commit("The product")
    made.commit("Third")
    return made


def said(folder: Path, path: str | None = None) -> str:
    """The version of the package in a folder, in a process of its own."""
    environment = {**os.environ, "PYTHONPATH": str(folder)}
    if path is not None:
        environment["PATH"] = path
    script = "import corpus; from corpus.contract.version import current; "
    script += "print(corpus.__file__, current().version)"
    command = [sys.executable, "-P", "-c", script]
    done = subprocess.run(
        command, cwd="/", check=True, capture_output=True, text=True, env=environment
    )
    file, version = done.stdout.split()
    assert Path(file) == folder / "corpus" / "__init__.py"
    return version


def shallow(checkout: Checkout, target: Path, *options: str) -> Path:
    address = f"file://{checkout.folder}"
    checkout.git(
        "-c",
        "advice.detachedHead=false",
        "clone",
        "-q",
        "--depth=1",
        *options,
        address,
        str(target),
    )
    return target


def wheel(source: Path, target: Path) -> Path:
    """Build a wheel with what is installed here, as the images do."""
    command = [sys.executable, "-m", "pip", "wheel", "-q", "--no-index", "--no-deps"]
    subprocess.run(
        [*command, "--no-build-isolation", "--wheel-dir", target, source],
        check=True, capture_output=True, text=True,
    )  # fmt: skip
    (found,) = target.glob("*.whl")
    return found


def test_a_checkout_says_what_its_package_would(product: Checkout):
    version = describe(product.folder).pep440
    assert version == f"0.1.0.dev3+{product.digits}"
    assert said(product.folder) == version
    (product.folder / "corpus" / "errors.py").write_text("")
    revision = product.git("rev-parse", "HEAD")
    assert code_of(product.folder) == Code(f"{version}.dirty", f"{revision}-dirty")


def test_a_clone_without_history_names_its_commit(product: Checkout, tmp_path: Path):
    clone = shallow(product, tmp_path / "clone")
    assert said(clone) == f"0.0.0+{product.digits}"
    (clone / "setup.py").write_text("")
    assert code_of(clone).version == f"0.0.0+{product.digits}.dirty"
    assert code_of(clone).revision == product.git("rev-parse", "HEAD") + "-dirty"


def test_a_clone_without_history_knows_the_tag_of_its_commit(product: Checkout, tmp_path: Path):
    product.git("tag", "v1.4.0rc1")
    product.git("tag", "-m", "A release", "v1.4.0")
    clone = shallow(product, tmp_path / "tagged", "--branch", "v1.4.0")
    assert said(clone) == said(product.folder) == "1.4.0"
    product.commit("After")
    clone = shallow(product, tmp_path / "after")
    assert said(clone) == f"0.0.0+{product.digits}"
    subprocess.run(["git", "fetch", "-q", "--unshallow", "--tags"], cwd=clone, check=True)
    assert said(clone) == said(product.folder) == f"1.4.0+1.{product.digits}"


def test_without_the_program_a_checkout_names_its_commit(product: Checkout, tmp_path: Path):
    nothing = str(tmp_path / "nothing")
    expected = f"0.0.0+{product.digits}"
    assert said(product.folder, path=nothing) == expected
    product.git("pack-refs", "--all")
    assert said(product.folder, path=nothing) == expected
    product.git("worktree", "add", "-q", str(tmp_path / "other"), "-b", "other")
    assert said(tmp_path / "other", path=nothing) == expected
    product.git("checkout", "-q", "--detach")
    assert said(product.folder, path=nothing) == expected


def test_a_worktree_is_a_checkout(product: Checkout, tmp_path: Path):
    product.git("worktree", "add", "-q", str(tmp_path / "other"), "-b", "other")
    assert said(tmp_path / "other") == said(product.folder)


def test_a_hook_of_another_repository_does_not_count(
    product: Checkout, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    """git sets these for the programs that it starts."""
    version = said(product.folder)
    other = Checkout(tmp_path / "other")
    monkeypatch.setenv("GIT_DIR", str(other.folder / ".git"))
    monkeypatch.setenv("GIT_WORK_TREE", str(other.folder))
    assert said(product.folder) == version


def test_a_misspelt_tag_does_not_keep_a_program_from_running(product: Checkout):
    product.git("tag", "v1.4")
    assert said(product.folder) == f"0.0.0+{product.digits}"


@pytest.mark.parametrize("depth", ["whole", "shallow"])
def test_a_wheel_has_the_version_of_what_it_was_built_of(
    product: Checkout, tmp_path: Path, depth: str
):
    source = shallow(product, tmp_path / "clone") if depth == "shallow" else product.folder
    version = said(source)
    built = wheel(source, tmp_path / "dist")
    assert built.name == f"corpus_airflow-{version}-py3-none-any.whl"
    with zipfile.ZipFile(built) as archive:
        archive.extractall(tmp_path / "site")
    assert said(tmp_path / "site") == version
    assert said(tmp_path / "site", path="") == version
    # The build has left its folders there.
    assert said(source) == version


def test_a_release_has_the_version_of_its_package(product: Checkout, tmp_path: Path):
    product.git("tag", "v1.4.0rc1")
    product.commit("After")
    version, revision = describe(product.folder), product.git("rev-parse", "HEAD")
    payload = tmp_path / "payload"
    shutil.copytree(product.folder / "corpus", payload / "corpus")
    Manifest.of(payload, version.debian, revision).write(payload)
    assert version.debian == f"1.4.0~rc1+1.{product.digits}"
    assert said(payload) == said(product.folder) == f"1.4.0rc1+1.{product.digits}"
    assert code_of(payload) == Code(version.pep440, revision)


@pytest.mark.parametrize("text", ["", "[]", "{}", '{"version": "1.4.0"}'])
def test_a_damaged_release_does_not_keep_a_program_from_running(
    product: Checkout, tmp_path: Path, text: str
):
    payload = tmp_path / "payload"
    shutil.copytree(product.folder / "corpus", payload / "corpus")
    (payload / "release.json").write_text(text)
    assert said(payload) == "0.0.0+unknown"


def test_a_copy_is_not_what_else_is_installed(product: Checkout, tmp_path: Path):
    """This checkout is, where the tests run."""
    shutil.copytree(product.folder / "corpus", tmp_path / "copy" / "corpus")
    assert said(tmp_path / "copy") == "0.0.0+unknown"


# Prints what is started.
WATCH = """
import sys
sys.addaudithook(lambda event, args: event == "subprocess.Popen" and print("started", args[0], args[1]))
"""


@pytest.mark.parametrize(
    "script",
    [
        "import corpus.contract.version, corpus.settings; corpus.settings.Settings.load()",
        "from corpus.cli.main import cli; cli(['--help'], standalone_mode=False)",
        "from corpus.cli.main import cli; cli(['publish', '--help'], standalone_mode=False)",
    ],
    ids=["settings", "help", "a service's help"],
)
def test_nobody_who_does_not_ask_for_the_version_waits_for_git(script: str):
    done = subprocess.run(
        [sys.executable, "-c", WATCH + script], cwd=REPO, check=True, capture_output=True, text=True
    )
    assert "started" not in done.stdout
    asked = f"{WATCH}from corpus.cli.main import cli; cli(['--version'], standalone_mode=False)"
    done = subprocess.run(
        [sys.executable, "-c", asked], cwd=REPO, check=True, capture_output=True, text=True
    )
    assert done.stdout.splitlines()[-1] == f"corpus, version {code_of(REPO).version}"
