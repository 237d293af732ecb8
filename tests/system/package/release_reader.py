"""Parses the DAGs of the current release over and over, as the DAG processor does: release_reader.py RELEASES.

Ends at the end of standard input. Prints a line of JSON a pass: the release, what was wrong, and how many modules of it
were loaded, each of which has to say the name of that release.
"""

from __future__ import annotations

import json
import select
import sys
from pathlib import Path

from airflow.dag_processing.dagbag import DagBag

from operators.releases.bundle import PACKAGES, ReleaseBundle

DAGS = 10


def forget() -> None:
    """All of it is read from the disk in each pass, and not only after a change."""
    for name in list(sys.modules):
        if name.partition(".")[0] in PACKAGES or name.startswith("unusual_prefix_"):
            del sys.modules[name]


def look(bundle: ReleaseBundle) -> dict[str, object]:
    forget()
    bundle.refresh()
    version = bundle.get_current_version().version
    bag = DagBag(bundle.path)
    wrong = [f"{file}: {text}" for file, text in bag.import_errors.items()]
    if len(bag.dags) != DAGS:
        wrong.append(f"{len(bag.dags)} DAGs: {sorted(bag.dags)}")
    release = Path(bundle.releases, version)
    wrong += [f"{dag.fileloc} is elsewhere" for dag in bag.dags.values()
              if not dag.fileloc.startswith(f"{release}/")]  # fmt: skip
    loaded = {
        name: getattr(module, "RELEASE", "none")
        for name, module in sys.modules.items()
        if (name.partition(".")[0] in PACKAGES or name.startswith("unusual_prefix_"))
        and getattr(module, "__file__", None)
    }
    wrong += [f"{name} is of {found}" for name, found in loaded.items() if found != version]
    files = json.loads((release / "release.json").read_text())["files"]
    wrong += [f"{name} is missing" for name in files if not (release / name).is_file()]
    return {"version": version, "wrong": wrong, "modules": len(loaded)}


def main() -> None:
    bundle = ReleaseBundle(name="corpus", releases=sys.argv[1])
    bundle.initialize()
    while not select.select([sys.stdin], [], [], 0)[0]:
        print(json.dumps(look(bundle)), flush=True)


if __name__ == "__main__":
    main()
