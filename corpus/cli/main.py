"""The root command: global options, and how an outcome becomes output and an exit status."""

from __future__ import annotations

import json
import sys
import traceback
from collections.abc import Callable
from pathlib import Path
from typing import Any, NoReturn

import click

from corpus.cli.session import Session
from corpus.cli.stop import Stops
from corpus.contract.version import current
from corpus.errors import BadSettingError, CorpusError, NothingNewError, PassingFaultError
from corpus.sandbox import confine
from corpus.settings.overrides import nest, parse_override

# Commands that are not services, in the order of the help.
_OTHERS = (
    "vectorize",
    "snapshots",
    "verify",
    "diff",
    "export",
    "abandon",
    "clean",
    "workspace",
    "config",
)


class Commands(click.Group):
    """Commands in the order data flows rather than by the alphabet; loaded when first asked for."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        from corpus.contract.registry import SERVICES

        return [*SERVICES, *_OTHERS]

    def get_command(self, ctx: click.Context, name: str) -> click.Command | None:
        from corpus.contract.registry import SERVICES

        if name in SERVICES:
            from corpus.cli.services import service_command

            return service_command(SERVICES[name])
        return _other(name)


def _other(name: str) -> click.Command | None:
    """Import a command that is not a service; None if there is no such command."""
    match name:
        case "vectorize":
            from corpus.cli.vectorize import vectorize

            return vectorize
        case "snapshots":
            from corpus.cli.snapshots import snapshots

            return snapshots
        case "verify":
            from corpus.cli.snapshots import verify

            return verify
        case "diff":
            from corpus.cli.snapshots import diff

            return diff
        case "export":
            from corpus.cli.snapshots import export

            return export
        case "abandon":
            from corpus.cli.upkeep import abandon

            return abandon
        case "clean":
            from corpus.cli.upkeep import clean

            return clean
        case "workspace":
            from corpus.cli.workspace import workspace

            return workspace
        case "config":
            from corpus.cli.config import config

            return config
    return None


def _show_version(ctx: click.Context, _: click.Parameter, wanted: bool) -> None:
    # Computed only here: click's own option would have it before anybody asks.
    if wanted and not ctx.resilient_parsing:
        click.echo(f"corpus, version {current().version}")
        ctx.exit()


@click.group(
    cls=Commands,
    context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100},
    epilog="Exit status: 0 done, 2 bad input, 3 nothing new, 4 blocked by a gate, 5 another update "
    "published first, 6 not found, 7 damaged, 75 try again later, 1 anything else.",
)
@click.option("--root", metavar="URL", help="Where the corpus lives: a folder or an fsspec URL.")
@click.option(
    "--config",
    type=click.Path(dir_okay=False, path_type=Path),
    help="Settings file.  [default: $CORPUS_CONFIG or /etc/corpus-airflow/corpus.toml]",
)
@click.option(
    "--set",
    "sets",
    metavar="SECTION.KEY=VALUE",
    multiple=True,
    help="Override a setting for this call; may be repeated. `corpus config` lists all.",
)
@click.option(
    "--result",
    type=click.Path(dir_okay=False, path_type=Path),
    help="Write the outcome to this file as JSON: status, report, error.",
)
@click.option(
    "--version",
    is_flag=True,
    expose_value=False,
    is_eager=True,
    callback=_show_version,
    help="Show the version and exit.",
)
@click.pass_context
def cli(
    ctx: click.Context,
    root: str | None,
    config: Path | None,
    sets: tuple[str, ...],
    result: Path | None,
) -> None:
    """Keep a malware-ML training corpus up to date, and look at its snapshots."""
    session = Session(config=config, result=result)
    ctx.obj = session
    for text in sets:
        nest(session.overrides, *parse_override(text))
    if root == "":
        # An unset variable of a script; the current folder would be taken for a corpus.
        raise BadSettingError("is empty: name a folder or a URL.", field="--root")
    if root is not None:
        nest(session.overrides, ["store", "root"], root)


def main(arguments: list[str] | None = None) -> NoReturn:
    """Run the command and end the process with the exit status of the outcome."""
    Stops()
    # It may hold secrets, and children of its sandbox read hostile bytes as the same user.
    confine.hide()
    sys.exit(run(lambda: cli.main(arguments, prog_name="corpus", standalone_mode=False), arguments))


def run(call: Callable[[], Any], arguments: list[str] | None = None) -> int:
    """Call the command; show what it raises, and return the exit status of the outcome."""
    given = sys.argv[1:] if arguments is None else arguments
    session = Session(result=_result_of(given), as_json="--json" in given)
    try:
        status = call()
        return status if isinstance(status, int) else 0
    except click.exceptions.Abort:
        click.echo("Stopped.", err=True)
        return 130
    except click.ClickException as error:
        refused = BadSettingError(error.format_message())
        if session.as_json:
            _show(session, refused)
        else:
            error.show()
        session.write_failure(refused)
        return BadSettingError.exit_status
    except NothingNewError as error:
        if session.as_json:
            _show(session, error)
        else:
            click.echo(str(error), err=True)
        session.write_failure(error, "nothing_new")
        return error.exit_status
    except CorpusError as error:
        return _failed(session, error)
    except Exception as error:
        if _is_of_the_network(error):
            return _failed(
                session, PassingFaultError(f"{error}.", hint="Is the storage up? Then retry.")
            )
        traceback.print_exc()
        session.write_failure(CorpusError(f"{type(error).__name__}: {error}"))
        return CorpusError.exit_status


def _failed(session: Session, error: CorpusError) -> int:
    _show(session, error)
    session.write_failure(error)
    return error.exit_status


def _show(session: Session, error: CorpusError) -> None:
    """Print an error, with --json as one line of JSON; standard output is for reports alone."""
    if session.as_json:
        click.echo(json.dumps(error.to_dict(), default=str), err=True)
        return
    click.secho(f"{type(error).__name__}: {error.message}", fg="red", err=True)
    if error.hint:
        click.echo(error.hint, err=True)


def _is_of_the_network(error: Exception) -> bool:
    """Whether the storage could not be reached. S3's client then raises what is not an OSError."""
    if isinstance(error, ConnectionError | TimeoutError):
        return True
    client = sys.modules.get("botocore.exceptions")
    return client is not None and isinstance(
        error, (client.ConnectionError, client.HTTPClientError)
    )


def _result_of(arguments: list[str]) -> Path | None:
    """The --result of a call whose options may not even parse."""
    for position, argument in enumerate(arguments):
        if argument == "--result" and position + 1 < len(arguments):
            return Path(arguments[position + 1])
        if argument.startswith("--result="):
            return Path(argument.partition("=")[2])
    return None
