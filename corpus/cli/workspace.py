"""`corpus workspace stage-in` and `stage-out`: the steps before and after a service's in a sandbox."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click
from pydantic import BaseModel

from corpus.cli.output import echo_report, json_option
from corpus.cli.services import option, request_of
from corpus.cli.session import Session
from corpus.contract.registry import SERVICES

if TYPE_CHECKING:
    from corpus.services.context import Context

# The services that run in a sandbox.
_SANDBOXED = [service.name for service in SERVICES.values() if service.hostile]


class _Services(click.Group):
    """A command for each service that works in a workspace, with the options of that service."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        return _SANDBOXED

    def get_command(self, ctx: click.Context, name: str) -> click.Command | None:
        if name not in _SANDBOXED:
            return None
        if self.name == "stage-in":
            summary = f"Make a folder a workspace in which `{name}` has all it needs."
            return _command(name, summary, "--to", _stage_in)
        summary = f"Check what `{name}` staged in a workspace, and stage it."
        return _command(name, summary, "--from", _stage_out)


def _stage_in(request: Any, context: Context, folder: Path) -> BaseModel:
    from corpus.isolation.stage_in import stage_in

    return stage_in(request, context, folder)


def _stage_out(request: Any, context: Context, folder: Path) -> BaseModel:
    from corpus.isolation.stage_out import stage_out

    return stage_out(request, context, folder)


def _command(name: str, summary: str, flag: str, step: Callable[..., BaseModel]) -> click.Command:
    @click.pass_obj
    def call(session: Session, /, folder: Path, as_json: bool, **options: Any) -> None:
        context = replace(session.context, service=name)
        report = step(request_of(SERVICES[name].request, options), context, folder)
        content = report.model_dump(mode="json")
        session.write_result("ok", content)
        echo_report(content, as_json)

    folder = click.Option(
        [flag, "folder"],
        required=True,
        type=click.Path(file_okay=False, path_type=Path),
        help="Folder of the workspace.",
    )
    fields = SERVICES[name].request.model_fields.items()
    parameters: list[click.Parameter] = [
        *(option(field, info) for field, info in fields),
        folder,
        json_option(),
    ]
    return click.Command(
        name,
        callback=call,
        params=parameters,
        help=f"{summary} The options are those of `corpus {name}`.",
        short_help=summary,
    )


workspace = click.Group(
    "workspace",
    commands=[
        _Services(
            "stage-in",
            short_help="Make a workspace: a folder with just what a sandboxed service needs.",
            help="Copy what a service needs of the corpus and its sources to a folder, in which "
            "`corpus --root FOLDER SERVICE` stages what it would stage in the whole corpus.",
        ),
        _Services(
            "stage-out",
            short_help="Bring what a service staged in a workspace into the corpus.",
            help="Check all that a service staged in a workspace, believing nothing, and stage it in "
            "the corpus. The report is the service's.",
        ),
    ],
    short_help="Let a service work in a sandbox, in a folder with just what it needs.",
    help="Let a service that reads hostile bytes work where there is no network and no secret.",
)
