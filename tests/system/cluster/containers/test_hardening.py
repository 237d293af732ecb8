"""What docs/operate/security.md promises, in a container that runs."""

from __future__ import annotations

import re
from typing import Any

from operators.containers.scratch import CORPUS_USER
from operators.settings import DockerSettings
from tests.support.airflow_home import REPO
from tests.system.cluster.containers.world import World

PAGE = REPO / "docs" / "operate" / "security.md"
LIMITS = DockerSettings()


def promised() -> dict[str, str]:
    """The table of limits: what the engine calls each, and its value."""
    rows = re.findall(r"^\| [^|]+ \| `([A-Z][\w.]+)` \| ([^|]+) \|", PAGE.read_text(), re.MULTILINE)
    return {name: value.strip() for name, value in rows}


def inspected(world: World) -> dict[str, Any]:
    """What the engine says of a container that runs with the settings' own limits."""
    found: list[dict[str, Any]] = []

    def look(line: str) -> None:
        if line == "here":
            found.append(world.client.inspect_container(world.live()[0]["Id"]))

    with world.containers(look) as containers:
        limits = {"limits": type(world.spec("").limits).of(LIMITS)}
        containers.run("run", world.spec("echo here; sleep 1", **limits))
    return found[0]


def test_every_limit_of_the_page_holds(world: World) -> None:
    container = inspected(world)
    expected = {
        "NetworkMode": "none",
        "ReadonlyRootfs": True,
        "CapDrop": ["ALL"],
        "SecurityOpt": ["no-new-privileges"],
        "Config.User": ":".join(map(str, CORPUS_USER)),
        "Tmpfs": {"/tmp": f"rw,noexec,nosuid,nodev,size={LIMITS.tmpfs_bytes},mode=1777"},
        "Memory": LIMITS.memory_bytes,
        "MemorySwap": LIMITS.memory_bytes,
        "PidsLimit": LIMITS.pids,
        "CpuQuota": round(LIMITS.cpus * 100_000),
        "CpusetCpus": LIMITS.cpuset,
        "Ulimits": {"nofile": 16_384, "core": 0},
        "Init": True,
        "IpcMode": "private",
        "CgroupnsMode": "private",
        "LogConfig": "local",
        "Privileged": False,
        "Mounts": [],
    }
    found = {name: value_of(container, name) for name in expected}
    assert found == expected
    # And the page tells of these and no others.
    assert set(promised()) == set(expected)


def value_of(container: dict[str, Any], name: str) -> Any:
    if name.startswith("Config."):
        return container["Config"][name.removeprefix("Config.")]
    value = container["HostConfig"].get(name)
    if name == "Ulimits":
        return {limit["Name"]: limit["Hard"] for limit in value if limit["Soft"] == limit["Hard"]}
    if name == "LogConfig":
        return value["Type"]
    return value or [] if name == "Mounts" else value


def test_the_kernel_says_the_same(world: World) -> None:
    """Seen from inside: no capability, no way to a new one, and the engine's system call filter."""
    seen: list[str] = []
    with world.containers(seen.append) as containers:
        containers.run(
            "run", world.spec("grep -E 'Cap|NoNewPrivs|Seccomp:|^[UG]id' /proc/self/status")
        )
    status = dict(re.findall(r"(\w+):\s+(.+)", "\n".join(seen[:-1])))
    capabilities = {status[name] for name in ("CapInh", "CapPrm", "CapEff", "CapBnd", "CapAmb")}
    assert capabilities == {"0" * 16}
    assert (status["NoNewPrivs"], status["Seccomp"]) == ("1", "2")
    assert set(status["Uid"].split()) == set(status["Gid"].split()) == {str(CORPUS_USER[0])}
