"""`check`: whether this host is as the package and the command left it, and nothing gets in the way."""

from __future__ import annotations

import os
import stat
from argparse import ArgumentParser, Namespace
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path

from deploy.common.doctor import report
from deploy.common.doctor.finding import OK, WRONG, Finding
from deploy.common.errors import DamagedError, DeployError
from deploy.host import jobs, output
from deploy.host.jobs import Job, Outcome, States
from deploy.host.manifest import Manifest
from deploy.host.releases import Releases
from deploy.host.settings import Settings
from deploy.host.verbs import doctor

HELP = "verify the package's files, all releases, folders and periodic jobs, after what doctor looks at"

# Of the containers' user; and whose the rest is.
UID = doctor.UID
ROOT = 0
# Periods that a job may miss.
_MISSED = 3


def options(parser: ArgumentParser) -> None:
    output.options(parser)


def run(settings: Settings, wanted: Namespace) -> int:
    findings = [*doctor.look(settings), *look(settings)]
    doctor.show(findings, as_json=wanted.json)
    return report.status(findings)


def look(settings: Settings) -> Iterator[Finding]:
    # Read already, or this would not have begun.
    yield Finding("settings", OK, "every one is known, and of its type")
    releases = Releases(settings.releases.folder)
    yield _whole("payload", settings.releases.payload, "apt install --reinstall corpus-airflow")
    for name in releases.names():
        folder = releases.folder / name
        yield _whole(
            f"release {name}",
            folder,
            f"install corpus-airflow={name} again, or switch to another one and remove {folder}",
        )
    link = _link(releases)
    yield link
    if link.status == OK:
        # Files that only compile are no fault: a host may have no engine on purpose.
        yield Finding("tried", OK, releases.tried(link.what) or "how is not known")
    for folder, owner, mode in (
        (settings.releases.folder, ROOT, 0o755),
        (settings.state.folder, ROOT, 0o755),
        (settings.logs.folder, UID, None),
        (settings.scratch.folder, UID, 0o700),
        (settings.corpus.folder, UID, None),
    ):
        yield _folder(folder, owner, mode)
    if settings.api.url:
        yield password(settings.api.password_file)
    else:
        yield Finding(
            "runs",
            OK,
            "api.url is empty: the releases that they are on are not known, so `prune` goes by age",
        )
    history = releases.history()
    since = history[0][0] if history else datetime.now(UTC)
    for job in jobs.ALL:
        yield _job(States(settings.state.folder), job, since)


def _whole(name: str, folder: Path, cure: str) -> Finding:
    try:
        manifest = Manifest.read(folder)
        manifest.check(folder)
    except DeployError as error:
        return Finding(name, WRONG, str(error), f"To mend it: {cure}.")
    told = f"{len(manifest.files)} files, as they were built of {manifest.revision}"
    return Finding(name, OK, told)


def _link(releases: Releases) -> Finding:
    try:
        current = releases.current
    except OSError as error:
        return Finding(
            "current",
            WRONG,
            f"{error.filename} is no link.",
            "Move it away, then `corpus-airflow install`.",
        )
    if current is None:
        return Finding("current", WRONG, "No release is current.", "`corpus-airflow install` makes one.")  # fmt: skip
    if current not in releases.names():
        return Finding(
            "current",
            WRONG,
            f"{releases.folder / 'current'} leads to {current!r}, which is no release here.",
            "`corpus-airflow switch VERSION` changes it.",
        )
    return Finding("current", OK, current)


def _folder(folder: Path, owner: int, mode: int | None) -> Finding:
    name = f"folder {folder}"
    try:
        found = folder.stat()
    except OSError as error:
        return Finding(name, WRONG, f"{error.strerror}.", "Make it, or set its name in host.toml.")
    bits = stat.S_IMODE(found.st_mode)
    told = f"owner {found.st_uid}, mode {bits:04o}"
    wrong, cures = [], []
    if found.st_uid != owner:
        wrong.append(f"its owner is {found.st_uid}, not {owner}")
        cures.append(f"chown {owner}:{owner} {folder}")
    if mode is not None and bits != mode:
        wrong.append(f"its mode is {bits:04o}, not {mode:04o}")
        cures.append(f"chmod {mode:04o} {folder}")
    elif bits & 0o002:
        wrong.append("all may write to it")
        cures.append(f"chmod o-w {folder}")
    if wrong:
        return Finding(name, WRONG, ", ".join(wrong), f"As root: {' && '.join(cures)}")
    return Finding(name, OK, told)


def password(file: Path) -> Finding:
    """Whether the API's password is there; only root can tell."""
    name = f"password {file}"
    try:
        with file.open("rb") as stream:
            if not stream.read(1):
                return Finding(
                    name, WRONG, "The file is empty.", "Put the password of api.user there."
                )
    except OSError as error:
        if isinstance(error, PermissionError) and os.geteuid() != 0:
            return Finding(name, OK, "not looked at: needs root")
        return Finding(
            name, WRONG, f"{error.strerror}.", "It must hold the password of api.user."
        )  # fmt: skip
    return Finding(name, OK, "can be read")


def _job(states: States, job: Job, since: datetime) -> Finding:
    name = f"job {job.name}"
    how = f"`systemctl enable --now {job.timer}`, or the lines of corpus-airflow(8) for cron."
    try:
        outcome = states.read(job.name)
    except DamagedError as error:
        return Finding(name, WRONG, str(error), "The job's next run writes it again.")
    due = (datetime.fromisoformat(outcome.ended) if outcome else since) + _MISSED * job.period
    late = datetime.now(UTC) > due
    if outcome is None:
        if late:
            return Finding(name, WRONG, "has never run", how)
        return Finding(name, OK, "not run yet")
    if outcome.status == jobs.FAILED:
        return Finding(
            name,
            WRONG,
            f"failed at {outcome.ended}: {outcome.message}{_success(outcome)}",
            f"Mend that; `corpus-airflow {job.name}` runs it again.",
        )
    if late:
        return Finding(name, WRONG, f"has not run since {outcome.ended}", how)
    return Finding(name, OK, f"{outcome.ended} {outcome.message}")


def _success(outcome: Outcome) -> str:
    return f"\nIts last success was at {outcome.last_success or 'no time'}."
