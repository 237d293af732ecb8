"""Checks of files that a person writes or names: settings, samples, verdicts."""

from __future__ import annotations

import json
import os
import tomllib
from collections.abc import Iterable
from pathlib import Path

from deploy.common.doctor.account import name_of
from deploy.common.doctor.finding import Answer, ok, warn, wrong


def settings(files: Iterable[Path], reader: int | None = None) -> Answer:
    """Whether files of settings can be read, and are TOML; what they say is for those who read them.

    :param reader: a user who must be able to read them, and is in no group of theirs.
    """
    there = [file for file in files if file.exists()]
    for file in there:
        try:
            tomllib.loads(file.read_text(encoding="utf-8"))
        except OSError as error:
            if isinstance(error, PermissionError) and reader is not None:
                return ok(f"{file} is not looked at: that needs root")
            return wrong(f"{file} cannot be read: {error.strerror}.", f"Look at `ls -l {file}`.")
        except UnicodeDecodeError:
            return wrong(f"{file} is not UTF-8.", "Save it as UTF-8.")
        except tomllib.TOMLDecodeError as error:
            return wrong(f"{file} is not TOML: {error}.", "Mend that line.")
        if reader is not None and (closed := _closed(file, reader)):
            return wrong(
                f"{closed} cannot be read by {reader}, whom the containers run as.",
                f"As root: chmod o+rX {closed}",
            )
    return ok(", ".join(map(str, there)) or "none yet")


def place(name: str, given: str | None, record: Path, reader: int | None = None) -> Answer:
    """Whether samples or verdicts are where they were said to be, this time or at an earlier start.

    :param name: `samples` or `verdicts`; in capital letters it is the variable that names them.
    :param given: a path or an address; None if nothing is said now.
    :param record: the JSON file with what was said before.
    :param reader: a user who must be able to read it, and is in no group of it.
    """
    said = given or _remembered(record, name)
    variable = name.upper()
    if not said:
        return ok("none named")
    if "://" in said:
        return ok(f"{said}, which is not looked at")
    path = Path(said)
    judge = wrong if given else warn
    if not path.exists():
        return judge(
            f"{path} does not exist{'' if given else ', and was named at an earlier start'}.",
            f"Name another one: {variable}=...",
        )
    needed = os.R_OK | os.X_OK if path.is_dir() else os.R_OK
    if not os.access(path, needed):
        return judge(
            f"{path} cannot be read by {name_of(os.geteuid())}.",
            f"Make it readable, or name another one: {variable}=...",
        )
    # A container sees it without the folders above.
    if reader is not None and not _lets(path, reader, 0o5 if path.is_dir() else 0o4):
        return judge(
            f"{path} cannot be read by {reader}, whom the containers run as.",
            f"Type this: chmod -R o+rX {path}",
        )
    return ok(str(path))


def _remembered(record: Path, name: str) -> str | None:
    try:
        found = json.loads(record.read_text(encoding="utf-8"))
        return str(found[name]) if found[name] else None
    except (OSError, ValueError, KeyError, TypeError):
        # What is wrong with the record, the start says.
        return None


def _closed(file: Path, reader: int) -> Path | None:
    """The file, or the folder above it, that keeps a user out; None if none does."""
    ways = ((one, 0o4 if one == file else 0o1) for one in (file, *file.parents))
    return next((one for one, bits in ways if not _lets(one, reader, bits)), None)


def _lets(path: Path, reader: int, bits: int) -> bool:
    """Whether a path's mode lets a user do what `bits` say."""
    found = path.stat()
    wanted = bits << 6 if found.st_uid == reader else bits
    return found.st_mode & wanted == wanted
