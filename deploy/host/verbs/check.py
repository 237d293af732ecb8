"""`check`: whether this host is as the package and the command left it."""

from __future__ import annotations

import os
import stat
from argparse import ArgumentParser, Namespace
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from pathlib import Path

from deploy.common.errors import DamagedError, DeployError
from deploy.host import jobs, output
from deploy.host.jobs import Job, Outcome, States
from deploy.host.manifest import Manifest
from deploy.host.releases import Releases
from deploy.host.settings import Settings

HELP = "verify the package's files, all releases, folders and periodic jobs"

# Of the containers' user; and whose the rest is.
UID = 50000
ROOT = 0
# Periods that a job may miss.
_MISSED = 3


@dataclass(frozen=True)
class Check:
    """A thing that was looked at: what of it, and `wrong` with what to do, empty where it is right."""

    name: str
    told: str
    wrong: str = ""


def options(parser: ArgumentParser) -> None:
    output.options(parser)


def run(settings: Settings, wanted: Namespace) -> int:
    checks = list(look(settings))
    if wanted.json:
        output.as_json([asdict(check) for check in checks])
    else:
        for check in checks:
            mark = "WRONG" if check.wrong else "ok   "
            print(f"{mark} {check.name}: {check.wrong or check.told}".replace("\n", "\n      "))
    return DamagedError.status if any(check.wrong for check in checks) else 0


def look(settings: Settings) -> Iterator[Check]:
    # Read already, or this would not have begun.
    yield Check("settings", "every one is known, and of its type")
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
    if not link.wrong:
        # Files that only compile are no fault: a host may have no engine on purpose.
        yield Check("tried", releases.tried(link.told) or "how is not known")
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
        yield Check(
            "runs",
            "api.url is empty: the releases that they are on are not known, so `prune` goes by age",
        )
    history = releases.history()
    since = history[0][0] if history else datetime.now(UTC)
    for job in jobs.ALL:
        yield _job(States(settings.state.folder), job, since)


def _whole(name: str, folder: Path, cure: str) -> Check:
    try:
        manifest = Manifest.read(folder)
        manifest.check(folder)
    except DeployError as error:
        return Check(name, "", f"{error}\nTo mend it: {cure}.")
    return Check(name, f"{len(manifest.files)} files, as they were built of {manifest.revision}")


def _link(releases: Releases) -> Check:
    try:
        current = releases.current
    except OSError as error:
        return Check(
            "current",
            "",
            f"{error.filename} is no link; move it away, then `corpus-airflow install`.",
        )
    if current is None:
        return Check("current", "", "No release is current; `corpus-airflow install` makes one.")
    if current not in releases.names():
        return Check(
            "current",
            "",
            f"{releases.folder / 'current'} leads to {current!r}, which is no release here; "
            "`corpus-airflow switch VERSION` changes it.",
        )
    return Check("current", current)


def _folder(folder: Path, owner: int, mode: int | None) -> Check:
    name = f"folder {folder}"
    try:
        found = folder.stat()
    except OSError as error:
        return Check(name, "", f"{error.strerror}; make it, or set its name in host.toml.")
    bits = stat.S_IMODE(found.st_mode)
    wrong = []
    if found.st_uid != owner:
        wrong.append(f"its owner is {found.st_uid}; `chown {owner}:{owner} {folder}`")
    if mode is not None and bits != mode:
        wrong.append(f"its mode is {bits:04o}; `chmod {mode:04o} {folder}`")
    elif bits & 0o002:
        wrong.append(f"all may write to it; `chmod o-w {folder}`")
    return Check(name, f"owner {found.st_uid}, mode {bits:04o}", ", ".join(wrong))


def password(file: Path) -> Check:
    """Whether the API's password is there; only root can tell."""
    name = f"password {file}"
    try:
        with file.open("rb") as stream:
            if not stream.read(1):
                return Check(name, "", "the file is empty; put the password of api.user there.")
    except OSError as error:
        if isinstance(error, PermissionError) and os.geteuid() != 0:
            return Check(name, "not looked at: needs root")
        return Check(name, "", f"{error.strerror}; it must hold the password of api.user.")
    return Check(name, "can be read")


def _job(states: States, job: Job, since: datetime) -> Check:
    name = f"job {job.name}"
    how = f"`systemctl enable --now {job.timer}`, or the lines of corpus-airflow(8) for cron"
    try:
        outcome = states.read(job.name)
    except DamagedError as error:
        return Check(name, "", str(error))
    due = (datetime.fromisoformat(outcome.ended) if outcome else since) + _MISSED * job.period
    late = datetime.now(UTC) > due
    if outcome is None:
        return Check(name, "not run yet", f"has never run; {how}." if late else "")
    if outcome.status == jobs.FAILED:
        return Check(name, "", f"failed at {outcome.ended}: {outcome.message}{_success(outcome)}")
    if late:
        return Check(name, "", f"has not run since {outcome.ended}; {how}.")
    return Check(name, f"{outcome.ended} {outcome.message}")


def _success(outcome: Outcome) -> str:
    return f"\nIts last success was at {outcome.last_success or 'no time'}."
