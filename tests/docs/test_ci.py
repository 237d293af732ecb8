"""The example pipelines: they parse, and call what the Makefile has."""

from __future__ import annotations

import re
import shlex
import subprocess
from pathlib import Path
from typing import Any

import pytest
import yaml

from corpus.contract.version import Code, describe
from operators import settings as workers
from tests.system.package.packages import checkout

REPO = Path(__file__).parents[2]
FILE = REPO / "docs" / "examples" / "ci" / "gitlab-ci.yml"
# Keys of a pipeline that are no jobs: https://docs.gitlab.com/ee/ci/yaml/
GLOBAL = {"stages", "default", "variables", "workflow", "include"}


@pytest.fixture(scope="module")
def jobs() -> dict[str, Any]:
    pipeline = yaml.safe_load(FILE.read_text())
    found = {name: job for name, job in pipeline.items() if name not in GLOBAL}
    assert found
    assert all(job["stage"] in pipeline["stages"] for job in found.values())
    return found


def test_every_job_calls_targets_that_there_are_with_variables_that_they_take(
    jobs: dict[str, Any],
):
    makefile = (REPO / "Makefile").read_text()
    targets = set(re.findall(r"^([a-z-]+):", makefile, re.MULTILINE))
    for name, job in jobs.items():
        assert all(isinstance(line, str) for line in job["script"]), name
        calls = [shlex.split(line)[1:] for line in job["script"] if line.startswith("make ")]
        # What only pushes has nothing to make.
        assert calls or name == "push", name
        for target, *settings in calls:
            assert target in targets, name
            for setting in settings:
                assert f"$({setting.partition('=')[0]})" in makefile, setting


def test_images_bear_the_tag_that_hosts_ask_for_and_come_before_the_package(
    jobs: dict[str, Any], monkeypatch: pytest.MonkeyPatch
):
    stages = yaml.safe_load(FILE.read_text())["stages"]
    assert stages.index(jobs["images"]["stage"]) < stages.index(jobs["push"]["stage"])
    assert "images" in jobs["push"]["needs"]
    assert "push" in jobs["release"]["needs"]
    assert jobs["images"]["rules"] == jobs["push"]["rules"] == jobs["release"]["rules"]
    (line,) = (
        one for one in jobs["images"]["script"] if one.startswith("export CORPUS_IMAGE_TAG=")
    )
    # As GitLab clones it, by GIT_DEPTH 0; this checkout may be a shallow one.
    clone = checkout()
    shell = ["sh", "-euc", f'{line}; printf %s "$CORPUS_IMAGE_TAG"']
    tag = subprocess.run(shell, cwd=clone, check=True, capture_output=True, text=True).stdout
    code = Code(describe(clone).pep440)
    monkeypatch.setattr("operators.settings.current", lambda: code)
    assert workers.DockerSettings(services_image="{version}").services_image == tag


def test_only_a_tag_of_a_version_is_published(jobs: dict[str, Any]):
    (rule,) = jobs["release"]["rules"]
    pattern = re.search(r"=~ /(.*)/", rule["if"])
    assert pattern
    assert re.search(pattern[1], "v1.4.0rc1")
    assert not re.search(pattern[1], "venus")
    assert "dist/" in jobs["release"]["artifacts"]["paths"]
    # What branches make has no way out, and no key of ours.
    rehearsal = "\n".join([*jobs["rehearsal"]["before_script"], *jobs["rehearsal"]["script"]])
    assert "APT_" not in rehearsal
    # The secret key never leaves the job.
    sent = [line for line in jobs["release"]["script"] if line.endswith('"$APT_TARGET/"')]
    assert sent
    assert all("--exclude=keys" in line for line in sent)


def test_no_merge_request_runs_where_the_engines_socket_is(jobs: dict[str, Any]):
    """Rules of a job's own replace those of the workflow, which let merge requests in."""
    at_the_engine = {name: job for name, job in jobs.items() if "docker" in job.get("tags", [])}
    assert at_the_engine.keys() == {"cluster", "package", "images", "push"}
    for name, job in at_the_engine.items():
        assert job["rules"], name
        for rule in job["rules"]:
            assert rule.keys() == {"if"}, name
            tag_or_default = r"\$CI_COMMIT_TAG( =~ .*)?|\$CI_COMMIT_BRANCH == \$CI_DEFAULT_BRANCH"
            assert re.fullmatch(tag_or_default, rule["if"]), name


def test_a_job_that_has_our_keys_builds_nothing(jobs: dict[str, Any]):
    secrets = re.compile(r"APT_KEY|SSH_KEY|REGISTRY_PASSWORD")
    for name, job in jobs.items():
        said = "\n".join([*job.get("before_script", []), *job["script"]])
        has_them = job.get("environment") == "release"
        assert bool(secrets.search(said)) == has_them, name
        if has_them:
            made = re.findall(r"\bmake +([a-z-]+)", said.replace("git gnupg make ", ""))
            assert set(made) <= {"sign"}, name
            assert not re.search(r"\bpip\b|docker build|\bdeb\b|setup", said), name
    assert "build" in jobs["release"]["needs"]
    assert "dist/" in jobs["build"]["artifacts"]["paths"]


def test_what_signs_asks_for_no_virtual_environment():
    """Or it would install packages, whose code would run beside the key."""
    makefile = (REPO / "Makefile").read_text()
    assert re.search(r"(?m)^sign: ##", makefile)
    done = subprocess.run(
        ["make", "--dry-run", "sign", "KEY=/nowhere"], cwd=REPO, capture_output=True, text=True
    )
    assert done.returncode == 0, done.stderr
    assert "/usr/bin/python3 -m deploy.build.package artifacts" in done.stdout
    assert not re.search(r"setup\.sh|bin/pip|uv ", done.stdout)
