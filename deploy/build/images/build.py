"""Building one image after the other, and the table of what came out."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

from deploy.build.images.client import Client, Layer
from deploy.common.errors import ProgramError
from deploy.common.shell import run_logged, say

NAMES = ("airflow", "services", "extractor", "redis", "postgres")
# How many deaths of the engine one build survives.
_DEATHS = 3
# "#12 [extractor-libraries 1/1] RUN --mount=...": a step that BuildKit begins, or has in its cache.
_STEP = re.compile(r"^#\d+ \[(?P<stage>[a-z-]+) \d+/\d+\] (?P<what>.*)")


@dataclass(frozen=True)
class Build:
    """What is the same for all images of one call."""

    context: Path
    base: str
    tags: Sequence[str]
    version: str
    revision: str
    renewed: str = ""

    def command(self, client: Client, name: str) -> list[str]:
        """The `docker build` of one image."""
        tags = [word for tag in self.tags for word in ("--tag", f"corpus-{name}:{tag}")]
        arguments = {
            "BASE": self.base,
            "VERSION": self.version,
            "REVISION": self.revision,
            "RENEWED": self.renewed,
        }
        return [
            *(client.path, "build", "--progress", "plain"),
            *("--file", str(self.context / "docker" / "Dockerfile"), "--target", name, *tags),
            *(w for key, value in arguments.items() for w in ("--build-arg", f"{key}={value}")),
            str(self.context),
        ]


@dataclass(frozen=True)
class Built:
    """One image: its id, its size and its layers' in bytes, and the seconds that its build took."""

    name: str
    id: str
    size: int
    layers: Sequence[Layer]
    seconds: float


def build(
    client: Client, plan: Build, name: str, logs: Path, start_engine: Callable[[], None]
) -> Built:
    """Build and tag one image; the one that bore the tag before goes, unless it is in use.

    If the engine dies of it, as Docker 20.10's builder now and then does, it is started again, and the
    build with it, up to three times. Raises `ProgramError`.
    """
    say(f"Building corpus-{name}")
    reference = f"corpus-{name}:{plan.tags[0]}"
    former = client.image(reference)
    for left in range(_DEATHS, -1, -1):
        try:
            seconds = _run(client, plan, name, logs)
            break
        except ProgramError:
            if not left or client.reaches_engine():
                raise
        say(f"The Docker engine died while it built corpus-{name}: starting both again.")
        start_engine()
    image = client.image(reference) or {}
    if former and former["Id"] != image["Id"]:
        client.remove(former["Id"])
    return Built(name, image["Id"], image["Size"], client.layers(reference), seconds)


def _run(client: Client, plan: Build, name: str, logs: Path) -> float:
    return run_logged(
        f"Building corpus-{name}",
        plan.command(client, name),
        logs / f"build-{name}.log",
        environment={"DOCKER_BUILDKIT": "1"},
        tell=_progress,
    )


def table(images: Iterable[Built], tags: Sequence[str]) -> str:
    """One line an image, the layers' sizes from the root on."""
    rows = [("image", "tags", "id", "size", "layers (MB)", "built in")]
    for image in images:
        layers = " + ".join(_megabytes(layer.size) for layer in reversed(image.layers))
        digest = image.id.removeprefix("sha256:")[:12]
        size = f"{_megabytes(image.size)} MB"
        took = f"{image.seconds:.1f} s"
        rows.append((f"corpus-{image.name}", ", ".join(tags), digest, size, layers, took))
    widths = [max(len(row[column]) for row in rows) for column in range(len(rows[0]))]
    lines = ("  ".join(cell.ljust(w) for cell, w in zip(row, widths, strict=True)) for row in rows)
    return "\n".join(line.rstrip() for line in lines)


def _megabytes(size: int) -> str:
    return f"{size / 1e6:.0f}" if size >= 1e6 else f"{size / 1e6:.2g}"


def _progress(line: str) -> str | None:
    step = _STEP.match(line)
    if not step or step["what"].startswith("FROM"):
        return None
    said = re.sub(r"--mount=\S+\s+", "", step["what"])
    return f"{step['stage']}: {said[:80]}"
