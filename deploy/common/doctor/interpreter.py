"""Checks of what Python will find: variables that change it, and the virtual environment."""

from __future__ import annotations

import os
from collections.abc import Iterable, Mapping
from pathlib import Path

from deploy.common.doctor.finding import Answer, ok, warn, wrong

# Variables that send pip's installations elsewhere than into the virtual environment.
_PIP = ("PIP_PREFIX", "PIP_TARGET", "PIP_USER")
_TOLD = 4


def variables(
    shell: Mapping[str, str], packages: Path, own: Iterable[str], checkout: Path
) -> Answer:
    """Whether variables make Python, or pip, look elsewhere than where the packages are.

    :param packages: the folder of the installed packages, which may not exist yet.
    :param own: the names of our own packages, in the checkout, which may be on PYTHONPATH itself.
    """
    if home := shell.get("PYTHONHOME"):
        return wrong(
            f"PYTHONHOME is {home}, where Python looks for its own library instead of where it is.",
            "Type this: unset PYTHONHOME",
        )
    # Once all is installed, nothing is installed.
    named = [name for name in _PIP if shell.get(name)]
    if named and not packages.is_dir():
        return wrong(
            f"With {', '.join(named)} pip does not install into the virtual environment.",
            f"Type this: unset {' '.join(named)}",
        )
    installed = set(own) | _names(packages)
    for folder in shell.get("PYTHONPATH", "").split(os.pathsep):
        if not folder or Path(folder).resolve() == checkout:
            continue
        if hidden := sorted(_names(Path(folder)) & installed):
            dots = ", ..." if len(hidden) > _TOLD else ""
            return warn(
                f"PYTHONPATH names {folder}, which hides packages of the virtual environment: "
                f"{', '.join(hidden[:_TOLD])}{dots}",
                "Type this: unset PYTHONPATH",
            )
    return ok("nothing changes where packages are found")


def virtual_environment(folder: Path) -> Answer:
    """Whether a virtual environment that is there still belongs to its place and its Python."""
    python = folder / "bin" / "python"
    if not folder.exists():
        return ok(f"{folder} is made at the first start")
    if python.is_symlink() and not python.exists():
        return wrong(
            f"The Python that {folder} was made of is gone: {os.path.realpath(python)}.",
            f"Type this, and it is made again: rm -r {folder}",
        )
    program = folder / "bin" / "pip"
    with_path = program.open(errors="replace").readline().strip() if program.is_file() else ""
    if with_path.startswith("#!/") and not Path(with_path[2:]).exists():
        return wrong(
            f"{folder} was made in another place: its programs look for {with_path[2:]}.",
            f"Type this, and it is made again: rm -r {folder}",
        )
    return ok(str(folder))


def _names(folder: Path) -> set[str]:
    """What can be imported from a folder."""
    try:
        entries = list(os.scandir(folder))
    except OSError:
        return set()
    packages = {one.name for one in entries if "." not in one.name and one.is_dir()}
    modules = {one.name[:-3] for one in entries if one.name.endswith(".py")}
    return (packages | modules) - {"__pycache__", "bin", "share", "tests"}
