"""The root command: global options, and how an outcome becomes output and an exit status."""

from __future__ import annotations

import json
import os
import signal
import sys
import traceback
from collections.abc import Callable
from dataclasses import dataclass, field
from functools import cached_property
from importlib import import_module
from pathlib import Path
from types import FrameType
from typing import Any, NoReturn

import click

from corpus import __version__
from corpus.errors import BadSetting, CorpusError, NothingNew, PassingFault
from corpus.services.base import Context
from corpus.settings import Settings
from corpus.store.root import passing_faults

RUN_VARIABLE = "CORPUS_RUN"


@dataclass
class Session:
    """The global options of one call."""

    overrides: dict[str, Any] = field(default_factory=dict)
    config: Path | None = None
    result: Path | None = None

    @cached_property
    def settings(self) -> Settings:
        return Settings.load(self.overrides, file=self.config)

    @cached_property
    def context(self) -> Context:
        """Settings and store, with the identity of the run that the environment tells of."""
        given = os.environ.get(RUN_VARIABLE, "{}")
        try:
            run = json.loads(given)
        except json.JSONDecodeError as error:
            raise BadSetting(f"not a JSON object: {error}.", field=RUN_VARIABLE) from error
        return Context.from_settings(self.settings, run)

    def write_result(
        self, status: str, report: Any = None, error: CorpusError | None = None
    ) -> None:
        if self.result is None:
            return
        outcome = {
            "status": status,
            "report": report,
            "error": error.to_dict() if error else None,
        }
        temporary = self.result.with_name(f".tmp-{os.getpid()}-{self.result.name}")
        with passing_faults(str(self.result)):
            temporary.write_text(json.dumps(outcome))
            temporary.replace(self.result)

    def write_failure(self, error: CorpusError, status: str = "error") -> None:
        """Write a result of which the exit status tells the most, even where it cannot be written."""
        try:
            self.write_result(status, error=error)
        except (OSError, CorpusError) as fault:
            click.echo(f"This is in no result file. {fault}", err=True)


def parse_override(text: str) -> tuple[list[str], Any]:
    """`section.key=value`; the value is JSON where it parses as such, else text."""
    name, separator, value = text.partition("=")
    if not separator or not name.strip():
        raise BadSetting(f"{text!r} is not of the form section.key=value.", field="--set")
    try:
        parsed = json.loads(value)
    except json.JSONDecodeError:
        parsed = value
    return name.strip().split("."), parsed


def nest(target: dict[str, Any], path: list[str], value: Any) -> None:
    for part in path[:-1]:
        target = target.setdefault(part, {})
        if not isinstance(target, dict):
            raise BadSetting("is both a value and a section.", field=".".join(path))
    target[path[-1]] = value


# Commands that are no services, and the module of this package that each is in.
_MODULES = {
    "vectorize": "vectorize",
    "snapshots": "snapshots",
    "verify": "snapshots",
    "diff": "snapshots",
    "export": "snapshots",
    "abandon": "upkeep",
    "clean": "upkeep",
    "slice": "slices",
    "config": "config",
}


class Commands(click.Group):
    """Commands in the order data flows rather than by the alphabet; loaded when first asked for."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        from corpus.services import SERVICES

        return [*SERVICES, *_MODULES]

    def get_command(self, ctx: click.Context, name: str) -> click.Command | None:
        from corpus.services import SERVICES

        if name in SERVICES:
            from corpus.cli.services import service_command

            return service_command(SERVICES[name])
        if name not in _MODULES:
            return None
        command: click.Command = getattr(import_module(f"corpus.cli.{_MODULES[name]}"), name)
        return command


@click.group(
    cls=Commands,
    context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100},
    epilog="Exit status: 0 done, 2 bad input, 3 nothing new, 4 blocked by a gate, 5 another update "
    "was first, 6 not found, 7 damaged, 75 try again later, 1 anything else.",
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
@click.version_option(__version__, prog_name="corpus")
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
    if root is not None:
        nest(session.overrides, ["store", "root"], root)


def _stop(signum: int, frame: FrameType | None) -> NoReturn:
    # An orderly end: open context managers stop their children.
    raise SystemExit(128 + signum)


def main(arguments: list[str] | None = None) -> NoReturn:
    """Run the command and end the process with the exit status of the outcome."""
    signal.signal(signal.SIGTERM, _stop)
    sys.exit(run(lambda: cli.main(arguments, prog_name="corpus", standalone_mode=False), arguments))


def run(call: Callable[[], Any], arguments: list[str] | None = None) -> int:
    session = Session(result=_result_of(sys.argv[1:] if arguments is None else arguments))
    try:
        status = call()
        return status if isinstance(status, int) else 0
    except click.exceptions.Abort:
        click.echo("Stopped.", err=True)
        return 130
    except click.ClickException as error:
        error.show()
        session.write_failure(BadSetting(error.format_message()))
        return BadSetting.exit_status
    except NothingNew as error:
        click.echo(str(error), err=True)
        session.write_failure(error, "nothing_new")
        return error.exit_status
    except CorpusError as error:
        return _failed(session, error)
    except Exception as error:
        if _is_of_the_network(error):
            return _failed(
                session, PassingFault(f"{error}.", hint="Is the storage up? Then retry.")
            )
        traceback.print_exc()
        session.write_failure(CorpusError(f"{type(error).__name__}: {error}"))
        return CorpusError.exit_status


def _failed(session: Session, error: CorpusError) -> int:
    click.secho(f"{type(error).__name__}: {error.message}", fg="red", err=True)
    if error.hint:
        click.echo(error.hint, err=True)
    session.write_failure(error)
    return error.exit_status


def _is_of_the_network(error: Exception) -> bool:
    """Whether the storage could not be reached. What S3's client raises then is no OSError."""
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
