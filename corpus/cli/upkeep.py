"""Commands that keep a corpus tidy: abandon, clean."""

from __future__ import annotations

import re
import sys
from datetime import timedelta

import click

from corpus.cli.output import echo_report, json_option
from corpus.cli.session import Session
from corpus.errors import BadSettingError
from corpus.settings.section import MOST_DAYS

_UNITS = {"s": "seconds", "m": "minutes", "h": "hours", "d": "days", "w": "weeks"}
_DURATION = re.compile(r"(\d{1,6})\s*([smhdw])")


def duration(text: str, field: str) -> timedelta:
    """`7d`, `12h`, `30m`, `90s` or `2w`. Raises `BadSettingError`."""
    found = _DURATION.fullmatch(text.strip())
    if found is None:
        raise BadSettingError(
            f"{text!r} is not a duration: a number and one of s, m, h, d and w, such as 7d or 12h.",
            field=field,
        )
    given = timedelta(**{_UNITS[found[2]]: int(found[1])})
    if given > timedelta(days=MOST_DAYS):
        raise BadSettingError(f"{text!r} is more than {MOST_DAYS} days.", field=field)
    return given


@click.command(short_help="Give up an update that nobody will finish.", params=[json_option()])
@click.argument("update")
@click.option("--yes", is_flag=True, help="Do not ask.")
@click.pass_obj
def abandon(session: Session, update: str, yes: bool, as_json: bool) -> None:
    """Give up an update that nobody will finish: its services refuse to continue from then on.

    A snapshot number that it had claimed is free for others. What it staged is kept until `corpus
    clean`. Exit status 5 if it is published, or its publication has begun to commit rows: then
    `corpus publish --update ID` completes it.
    """
    from corpus.maintenance.abandon import abandon as abandon_update

    if not yes:
        if not sys.stdin.isatty():
            raise BadSettingError("is needed where nobody can be asked.", field="--yes")
        click.confirm(f"Abandon update {update} for good?", abort=True, err=True)
    content = abandon_update(session.context.store, update).model_dump(mode="json")
    session.write_result("ok", content)
    echo_report(content, as_json)


@click.command(short_help="Remove what no snapshot and no update needs.", params=[json_option()])
@click.option(
    "--older-than",
    default="7d",
    metavar="DURATION",
    show_default=True,
    help="Keep what was written within this time: 7d, 12h, 30m.",
)
@click.option(
    "--blobs",
    is_flag=True,
    help="Also remove samples that nothing refers to; no update may be unfinished.",
)
@click.option("--dry-run", is_flag=True, help="Only say what would be removed.")
@click.pass_obj
def clean(session: Session, older_than: str, blobs: bool, dry_run: bool, as_json: bool) -> None:
    """Remove what no snapshot and no update needs; it touches no snapshot and none of its data.

    It removes staging areas of updates that are published or abandoned; staging areas that never got
    anything, and temporary files of killed writers, if they are a day old at least; with --blobs, also
    samples that no snapshot, table or staging area refers to.
    """
    from corpus.maintenance.clean import clean as clean_store

    age = duration(older_than, "--older-than")
    context = session.context
    report = clean_store(
        context.store, age, blobs=blobs, dry_run=dry_run, progress=context.progress
    )
    content = report.model_dump(mode="json")
    session.write_result("ok", content)
    echo_report(content, as_json)
