"""Names that outlive a process or a release, read from the code and files that define them.

`python -m tests.support.stable_names` writes them into docs/develop/stable-names.md, between the
markers of each table; `make docs` calls it.
"""

from __future__ import annotations

import re
import sys
import tempfile
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import fields
from pathlib import Path
from typing import Any

from pydantic import BaseModel

from corpus import errors
from corpus.contract.registry import SERVICES
from corpus.settings import Settings
from corpus.store.schemas import CANDIDATES, TABLES, features_spec
from operators.containers import labels
from operators.runners.result import Outcome, Problem
from operators.settings import WorkerSettings
from operators.task_try import PREFIX, TaskTry
from tests.support import airflow_home

REPO = Path(__file__).resolve().parents[2]
PAGE = REPO / "docs" / "develop" / "stable-names.md"
# What calls modules of a release from outside of it: the host command, the images, the package.
CALLERS = ("deploy/host", "docker", "debian/bin", "debian/tests")

Rows = list[tuple[str, ...]]


def serialized_dags() -> dict[str, dict[str, Any]]:
    """Each DAG of dags/ as Airflow stores it in its database, by id."""
    from airflow.dag_processing.dagbag import DagBag
    from airflow.serialization.serialized_objects import DagSerialization

    bag = DagBag(airflow_home.REPO / "dags")
    assert not bag.import_errors, bag.import_errors
    return {dag_id: DagSerialization.to_dict(dag)["dag"] for dag_id, dag in bag.dags.items()}


def _values(node: Any) -> Iterator[Any]:
    """A serialized value and everything in it."""
    yield node
    inner = node.values() if isinstance(node, Mapping) else node if isinstance(node, list) else ()
    for value in inner:
        yield from _values(value)


def serialized_paths() -> Rows:
    found: dict[str, str] = {}
    for dag in serialized_dags().values():
        for node in _values(dag):
            if isinstance(node, str) and re.fullmatch(r"(corpus|operators)(\.\w+){2,}", node):
                found[node] = "callback or deadline"
            if isinstance(node, Mapping) and "_task_module" in node:
                found[f"{node['_task_module']}.{node['task_type']}"] = "operator of a task"
                for link in node.get("_operator_extra_links", {}).values():
                    found[link] = "XCom key of a link"
    return [(_code(name), what) for name, what in sorted(found.items())]


def dags() -> Rows:
    rows = []
    for dag_id, dag in sorted(serialized_dags().items()):
        tasks = [node["task_id"] for node in _values(dag) if _is_task(node)]
        params = [name for name, _ in dag["params"]]
        assets = {
            node["name"] for node in _values(dag) if isinstance(node, Mapping) and "uri" in node
        }
        rows.append((_code(dag_id), _code(*tasks), _code(*params), _code(*sorted(assets))))
    return rows


def _is_task(node: Any) -> bool:
    return isinstance(node, Mapping) and "_task_module" in node and "task_id" in node


def called() -> Rows:
    """Modules, classes and programs that a file outside a release names, and the files that do."""
    patterns: tuple[str, ...] = (
        r"-m[\"',\s]+((?:operators|corpus|deploy)[\w.]*)",
        r"classpath\\?\"?: *\\?\"((?:operators|corpus)[\w.]+)",
        r"_CLASSES=((?:operators|corpus)[\w.]+)",
        r"_CONFIG_OPTIONS: ((?:operators|corpus|deploy)[\w.]+)",
    )
    # What the compose files start inside an image.
    program = r"(/opt/corpus/[a-z_]+(?:/[a-z_.]+)*)"
    found: dict[str, set[str]] = {}
    for folder in CALLERS:
        for path in sorted((REPO / folder).rglob("*")):
            if not path.is_file() or path.suffix == ".pyc":
                continue
            text = path.read_text(errors="replace")
            for pattern in (*patterns, program) if path.suffix == ".yaml" else patterns:
                for name in re.findall(pattern, text):
                    found.setdefault(name, set()).add(path.relative_to(REPO).as_posix())
    return [(_code(name), ", ".join(sorted(files))) for name, files in sorted(found.items())]


def variables() -> Rows:
    """Variables that a site sets for the compose files."""
    files = sorted((REPO / "docker").glob("*.yaml"))
    names = {n for file in files for n in re.findall(r"\$\{(CORPUS_\w+)", file.read_text())}
    return [(_code(name),) for name in sorted(names)]


def tables() -> Rows:
    specs = [*TABLES.values(), features_spec("NAME", 1), CANDIDATES]
    return [(_code(spec.name), _code(*spec.schema.names)) for spec in specs]


def store() -> tuple[Rows, Rows]:
    """Keys of a small corpus with two snapshots, as patterns, and the fields of its JSON files."""
    from tests.support.building import build, context

    with tempfile.TemporaryDirectory() as folder:
        made = context(f"{folder}/corpus")
        for snapshot, samples in (("one", range(3)), ("two", range(3, 5))):
            build(made, snapshot, samples)
        keys = {_pattern(key): key for key in made.store.list("")}
        files: dict[str, set[str]] = {}
        for key, example in keys.items():
            if key.endswith(".json") and "/card/" not in key and "/reports/" not in key:
                files.setdefault(key, set()).update(made.store.read_json(example))
    return (
        [(_code(key),) for key in sorted(keys)],
        [(_code(key), _code(*sorted(names))) for key, names in sorted(files.items())],
    )


def _pattern(key: str) -> str:
    """A key with what differs from corpus to corpus, or from table to table, put in angle brackets."""
    for old, new in (
        (r"sha256/[0-9a-f]{2}/[0-9a-f]{2}/", "sha256/<ab>/<cd>/"),
        (r"[0-9a-f]{64}", "<sha256>"),
        (r"^(data|index|tables)/[^/]+/", r"\1/<table>/"),
        (r"(<table>/<sha256>)\.(?!parquet)\w+$", r"\1.<column>"),
        (r"^(staging|snapshots)/(one|two)/", r"\1/<id>/"),
        (r"_delta_log/.*", "_delta_log/..."),
        (r"<table>/(one|two)-\d+", r"<table>/<id>-<number>"),
        (r"log/\d{8}", "log/<sequence>"),
        (r"(staging/<id>)/reports/.*", r"\1/reports/<service>-<part>.json"),
        (r"(staging/<id>)/(?!publish/)[^/]+/[^/]+\.parquet", r"\1/<table>/<part>.parquet"),
    ):
        key = re.sub(old, new, key)
    return key


def settings() -> Rows:
    return [(_code(name),) for kind in (Settings, WorkerSettings) for name in _setting_names(kind)]


def _setting_names(model: type[BaseModel], prefix: str = "") -> Iterator[str]:
    for name, field in model.model_fields.items():
        kind = field.annotation
        if isinstance(kind, type) and issubclass(kind, BaseModel):
            yield from _setting_names(kind, f"{prefix}{name}.")
        else:
            yield f"{prefix}{name}"


def services() -> Rows:
    return [
        (_code(name), _code(*service.request.model_fields), _code(*service.report.model_fields))
        for name, service in SERVICES.items()
    ]


def result_file() -> Rows:
    return [
        ("the file", _code(*Outcome.model_fields)),
        ("its `error`", _code(*Problem.model_fields)),
    ]


def error_types() -> Rows:
    kinds = [getattr(errors, name) for name in errors.__all__]
    return [
        (_code(kind.__name__), str(kind.exit_status))
        for kind in sorted(kinds, key=lambda kind: (kind.exit_status, kind.__name__))
    ]


def container_labels() -> Rows:
    own = {v for v in vars(labels).values() if isinstance(v, str) and v.startswith(PREFIX)}
    names = own - {PREFIX} | {PREFIX + field.name for field in fields(TaskTry)}
    return [(_code(name),) for name in sorted(names)]


def _code(*names: str) -> str:
    return ", ".join(f"`{name}`" for name in names)


def blocks() -> dict[str, str]:
    """Each table of the page as Markdown, by the name of its markers."""
    keys, json_fields = store()
    made: dict[str, tuple[Iterable[str], Rows]] = {
        "serialized": (("path", "what"), serialized_paths()),
        "dags": (("DAG", "tasks", "params", "assets"), dags()),
        "called": (("name", "named in"), called()),
        "variables": (("variable",), variables()),
        "tables": (("table", "columns"), tables()),
        "keys": (("key",), keys),
        "json": (("file", "fields"), json_fields),
        "settings": (("setting",), settings()),
        "services": (("service", "fields of the request", "fields of the report"), services()),
        "result": (("where", "fields"), result_file()),
        "errors": (("type", "exit status"), error_types()),
        "labels": (("label",), container_labels()),
    }
    return {name: _table(header, rows) for name, (header, rows) in made.items()}


def _table(header: Iterable[str], rows: Rows) -> str:
    head = list(header)
    if len(head) == 1:
        # One name a row would make a page of mostly white.
        return ", ".join(row[0] for row in rows)
    lines = [head, ["---"] * len(head), *map(list, rows)]
    return "\n".join(f"| {' | '.join(line)} |" for line in lines)


def replaced(page: str, replacement: Callable[[str, str], str]) -> str:
    """The page with each block, given its name and content, replaced."""
    return re.sub(
        r"(<!-- (\w+) -->\n)(.*?)(\n?<!-- end -->)",
        lambda match: f"{match[1]}{replacement(match[2], match[3])}\n<!-- end -->",
        page,
        flags=re.DOTALL,
    )


def main() -> None:
    made = blocks()
    page = replaced(PAGE.read_text(), lambda name, _: made[name])
    PAGE.write_text(page)
    missing = [name for name in made if f"<!-- {name} -->" not in page]
    if missing:
        sys.exit(f"{PAGE}: there are no markers for {', '.join(missing)}.")


if __name__ == "__main__":
    main()
