"""What a start takes of the shell's variables, in words: some hold, and some are never used.

Standard library only: doctor says it before anything is installed.
"""

from __future__ import annotations

from collections.abc import Mapping

AIRFLOW = "AIRFLOW_"
OURS = "CORPUS_"
# Settings of ours that the embedded Airflow gets from its start, whatever a shell says.
MADE = ("CORPUS_CONFIG", "CORPUS_SHARDS__WORKERS")


def is_airflows(name: str) -> bool:
    """Whether a variable is one of Airflow's: AIRFLOW_HOME, _AIRFLOW_..., AIRFLOW__SECTION__KEY."""
    return name.lstrip("_").startswith(AIRFLOW)


def settings(shell: Mapping[str, str]) -> list[str]:
    """The settings of ours that hold in the embedded Airflow."""
    return [n for n in sorted(shell) if n.startswith(OURS) and "__" in n and n not in MADE]


def remarks(shell: Mapping[str, str]) -> list[str]:
    """Return a line on what is used of a shell's settings, and one on what is not; none if it has none."""
    used = settings(shell)
    unused = [n for n in sorted(shell) if is_airflows(n)] + [n for n in MADE if n in shell]
    lines = []
    if used:
        lines.append(f"Settings of this shell that hold here: {', '.join(used)}.")
    if unused:
        lines.append(
            f"Variables of this shell that are not used here: {', '.join(unused)}. This Airflow has its own "
            "settings; docs/reference/settings.md lists those to choose."
        )
    return lines


def late_remarks(shell: Mapping[str, str]) -> list[str]:
    """Return a line on a shell's settings that come too late, as Airflow runs already; none if it has none."""
    if not (late := settings(shell)):
        return []
    return [
        f"Settings of this shell that do not reach what runs already: {', '.join(late)}. For them: `make down` first."
    ]


def unused_by_cluster(shell: Mapping[str, str]) -> list[str]:
    """The variables of a shell that `make cluster-up` keeps from the cluster's own files."""
    return [n for n in sorted(shell) if n.startswith((AIRFLOW, OURS, "COMPOSE_"))]
