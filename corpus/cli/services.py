"""A command for each service, its options made from the fields of the service's request."""

from __future__ import annotations

import types
from collections.abc import Mapping
from dataclasses import replace
from typing import TYPE_CHECKING, Any, Literal, TypeVar, Union, get_args, get_origin

import click
from pydantic import ValidationError
from pydantic.fields import FieldInfo
from pydantic_core import PydanticUndefined

from corpus.cli.output import echo_report, json_option
from corpus.cli.session import Session
from corpus.contract.base import Request
from corpus.contract.registry import Service
from corpus.errors import BadInputError

if TYPE_CHECKING:
    from corpus.services.context import Context

# Options that name places.
PLACES = ("sources", "urls")

R = TypeVar("R", bound=Request)


def service_command(service: Service) -> click.Command:
    """The command of a service; the request's model is loaded only now."""
    request_type = service.request

    @click.pass_obj
    def call(session: Session, /, as_json: bool, **options: Any) -> None:
        from corpus.services.dispatch import run_service

        request = request_of(request_type, options)
        context = session.context
        if session.by_person:
            request, context = as_typed(request, context)
        report = run_service(request, context).model_dump(mode="json")
        session.write_result("ok", report)
        echo_report(report, as_json)

    parameters: list[click.Parameter] = [
        option(name, field) for name, field in request_type.model_fields.items()
    ]
    parameters.append(json_option())
    # The docstring of the function is the long help, so that it is written once.
    return click.Command(
        service.name,
        callback=call,
        params=parameters,
        help=request_type.__doc__ if request_type.__doc__ else service.summary,
        short_help=service.summary,
    )


def as_typed(request: R, context: Context) -> tuple[R, Context]:
    """The request with its places as absolute paths, and a context in which these are allowed: a person
    has typed them, with that person's own rights.
    """
    from corpus.places.places import absolute

    typed = {
        name: [absolute(text) for text in getattr(request, name)]
        for name in PLACES
        if getattr(request, name, None)
    }
    allowed = tuple(text for texts in typed.values() for text in texts)
    return request.model_copy(update=typed), replace(
        context, typed=(*(context.typed or ()), *allowed)
    )


def request_of(request_type: type[R], options: Mapping[str, Any]) -> R:
    """The request that options make. Raises `BadInputError` naming the option."""
    given = {name: value for name, value in options.items() if value not in (None, ())}
    try:
        return request_type(**given)
    except ValidationError as error:
        first = error.errors()[0]
        name = str(first["loc"][0]).replace("_", "-") if first["loc"] else None
        raise BadInputError(f"{first['msg']}.", field=name and f"--{name}") from error


def option(name: str, field: FieldInfo) -> click.Option:
    """A click option for a field: lists repeat, booleans are flags, the description is the help."""
    kind, many = _plain(field.annotation)
    flag = f"--{name.replace('_', '-')}"
    settings: dict[str, Any] = {"help": field.description or ""}
    if kind is bool:
        default = field.default is True
        return click.Option(
            [f"{flag}/--no-{flag[2:]}" if default else flag],
            is_flag=True,
            default=default,
            **settings,
        )
    if get_origin(kind) is Literal:
        settings["type"] = click.Choice([str(choice) for choice in get_args(kind)])
    elif kind in (int, float):
        settings["type"] = kind
    else:
        settings["type"] = str
        settings["metavar"] = "ID" if name == "update" else "TEXT"
    if field.default is not PydanticUndefined and field.default not in (None, ""):
        settings["help"] += f"  [default: {field.default}]"
    return click.Option([flag], multiple=many, required=field.is_required(), **settings)


def _plain(annotation: Any) -> tuple[Any, bool]:
    """The one type inside `X | None` or `list[X]`, and whether there may be several."""
    if get_origin(annotation) in (Union, types.UnionType):
        annotation = next(part for part in get_args(annotation) if part is not type(None))
    if get_origin(annotation) in (list, tuple):
        return get_args(annotation)[0], True
    return annotation, False
