"""`corpus vectorize`: files to vectors, without a corpus."""

from __future__ import annotations

import os
import sys
from collections.abc import Iterator
from pathlib import Path

import click

from corpus import features
from corpus.cli.output import echo_report, json_option
from corpus.cli.session import Session
from corpus.errors import BadInputError, BadSettingError
from corpus.sources.paths import expand, read_list


@click.command(short_help="Write vectors of any files as NumPy.", params=[json_option()])
@click.argument("paths", metavar="PATH...", nargs=-1, type=click.Path())
@click.option(
    "--feature-set",
    metavar="NAME",
    required=True,
    help=f"Feature set to extract: {', '.join(features.names())}.",
)
@click.option(
    "--out",
    metavar="OUT.npz",
    type=click.Path(dir_okay=False, path_type=Path),
    required=True,
    help="File to write; a previous one is replaced at the end.",
)
@click.option(
    "--from-list",
    "from_list",
    metavar="FILE",
    type=click.Path(dir_okay=False, allow_dash=True),
    help="Also take paths from this file, one a line, after PATH; - is standard input.",
)
@click.option(
    "--jobs",
    type=click.IntRange(min=1, max=1024),
    help="Child processes.  [default: the cores that may be used]",
)
@click.option(
    "--raw",
    metavar="OUT.jsonl",
    type=click.Path(dir_okay=False, path_type=Path),
    help="Also write the raw features, as JSON rows: sha256, raw.",
)
@click.option("--strict", is_flag=True, help="Exit status 2 if any file failed.")
@click.option(
    "--no-sandbox",
    is_flag=True,
    help="Run in this process, without limits and with one job: for measurements.",
)
@click.pass_obj
def vectorize(
    session: Session,
    paths: tuple[str, ...],
    feature_set: str,
    out: Path,
    from_list: str | None,
    jobs: int | None,
    raw: Path | None,
    strict: bool,
    no_sandbox: bool,
    as_json: bool,
) -> None:
    """Write the vectors of files to one NPZ file, in the order the files are given.

    PATH is a file, or a folder: its files, recursively, sorted. The NPZ holds sha256 [n], X float32
    [n, dim] and paths [n]; failures [m, 2] (path, reason), failure_detail, failure_elapsed_s and
    failure_peak_memory_bytes [m]; and feature_set. Reasons: missing, unreadable, empty, timeout,
    memory, crash, error. Limits are those of the settings `features.*`.

    Exit status 0 even if some files failed (but see --strict) or there are none, 2 if all failed.
    """
    from corpus.vectorize.files import vectorize as vectorize_files

    if not paths and from_list is None:
        raise BadInputError("no file is given.", hint="Name a PATH or a --from-list.")
    for option, file in (("--out", out), ("--raw", raw)):
        if file == Path("-"):
            raise BadInputError("goes to a file, not to standard output.", field=option)
    if no_sandbox and jobs not in (None, 1):
        raise BadSettingError("goes with one job only.", field="--no-sandbox")
    jobs = jobs or len(os.sched_getaffinity(0))
    report = vectorize_files(
        expand(_given(paths, from_list)),
        out,
        feature_set=feature_set,
        settings=session.settings.features.model_copy(update={"jobs": jobs}),
        raw=raw,
        sandboxed=not no_sandbox,
        total=_total(paths, from_list),
    )
    content = report.model_dump(mode="json")
    session.write_result("ok", content)
    echo_report(content, as_json)
    if not report.files:
        click.echo(f"There was no file in what was given; {out} has no rows.", err=True)
    if report.failures and (strict or not report.vectors):
        counts = ", ".join(f"{count} {reason}" for reason, count in report.failures.items())
        raise BadInputError(
            f"{sum(report.failures.values())} of {report.files} files failed: {counts}.",
            hint=f"{out} has the reason for each: failures, failure_detail.",
        )


def _given(paths: tuple[str, ...], from_list: str | None) -> Iterator[str]:
    yield from paths
    if from_list == "-":
        yield from read_list(sys.stdin.buffer)
    elif from_list is not None:
        try:
            stream = open(from_list, "rb")  # noqa: SIM115 - closed below
        except OSError as error:
            raise BadInputError(
                f"{error.strerror}.", file=from_list, field="--from-list"
            ) from error
        with stream:
            yield from read_list(stream)


def _total(paths: tuple[str, ...], from_list: str | None) -> int | None:
    """How many files there are, for the progress; None if only one look can be had."""
    if from_list is not None and not os.path.isfile(from_list):
        return None
    return sum(1 for _ in expand(_given(paths, from_list)))
