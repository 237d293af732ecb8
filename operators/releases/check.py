"""Imports and serializes all DAGs of a folder, as Airflow will: what a release must pass before a host takes it.

    python -m operators.releases.check DAGS_FOLDER

Prints a line of JSON, {"dags": [id, ...], "errors": {file: message}}, the last one of the output. Exit status 0,
or 1 if there is an error or no DAG at all. It needs no database and no network.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path


@dataclass(frozen=True)
class Found:
    """Ids of the DAGs that can be run, and why others cannot: by file, relative to the folder."""

    dags: list[str]
    errors: dict[str, str]


def look(folder: Path) -> Found:
    """Import every file of a folder, and the plugins that Airflow is set to load."""
    # Not at the top: a wrong argument is told without a second of imports.
    from airflow.dag_processing.dagbag import DagBag
    from airflow.plugins_manager import get_import_errors
    from airflow.serialization.serialized_objects import DagSerialization

    # Each file, and not only those whose text looks like a DAG's.
    bag = DagBag(folder, safe_mode=False)
    errors = {_relative(file, folder): message for file, message in bag.import_errors.items()}
    errors |= {f"plugin {source}": message for source, message in get_import_errors().items()}
    dags = []
    for dag_id, dag in sorted(bag.dags.items()):
        try:
            DagSerialization.to_dict(dag)
        except Exception as error:
            # Whatever a DAG raises here, it would raise in the DAG processor.
            errors[_relative(dag.fileloc, folder)] = f"{dag_id} cannot be serialized: {error}"
        else:
            dags.append(dag_id)
    return Found(dags, errors)


def main(arguments: Sequence[str] | None = None) -> int:
    words = sys.argv[1:] if arguments is None else arguments
    if len(words) != 1 or not Path(words[0]).is_dir():
        print("usage: python -m operators.releases.check DAGS_FOLDER", file=sys.stderr)
        return 2
    found = look(Path(words[0]).resolve())
    print(json.dumps(asdict(found)))
    return 0 if found.dags and not found.errors else 1


def _relative(file: str, folder: Path) -> str:
    path = Path(file)
    return str(path.relative_to(folder)) if path.is_relative_to(folder) else file


if __name__ == "__main__":
    sys.exit(main())
