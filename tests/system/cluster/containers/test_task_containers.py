"""One task, one container: what is found again, what is removed, and how it ends."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import threading
from dataclasses import asdict, replace
from pathlib import Path

import pytest

from corpus.errors import BadSettingError, PassingFaultError
from operators.containers.spec import Bind
from operators.containers.task_containers import Ended
from tests.support.airflow_home import REPO
from tests.system.cluster.containers.world import World, wait_for

# Says who it is, waits to be let go, and says so. TERM does not impress it.
PATIENT = (
    "trap '' TERM; echo \"started in $(hostname)\";"
    " while [ ! -e /shared/go ]; do sleep 0.1; done; echo released"
)
# The first try of a task in a process of its own, which can be killed.
TRY = """
import sys, uuid
from pathlib import Path
from docker import APIClient
from operators.task_try import TaskTry
from tests.system.cluster.containers.world import URL, World
task = TaskTry.from_dict(eval(sys.argv[1]))
world = World(APIClient(base_url=URL, version="auto"), sys.argv[2], "", Path(sys.argv[3]), task, None)
with world.containers(lambda line: print(line, flush=True)) as containers:
    containers.scratch.folder("shared")
    print(containers.run("run", world.spec(sys.argv[4], binds=[world.shared()])))
"""


def start_try(world: World, script: str) -> subprocess.Popen[str]:
    arguments = [str(asdict(world.task)), world.image, str(world.work), script]
    return subprocess.Popen(
        [sys.executable, "-c", TRY, *arguments], cwd=REPO, stdout=subprocess.PIPE, text=True
    )


def killed_try(world: World, script: str = PATIENT) -> None:
    """A first try that is killed while its container runs or, where it does not wait, has run."""
    task = start_try(world, script)
    assert task.stdout is not None
    assert task.stdout.readline().startswith("started in")
    task.kill()
    task.communicate()


def run(world: World, script: str, **options: object) -> tuple[Ended, list[str]]:
    """Run a script as the task's container, in a try of its own."""
    seen: list[str] = []
    with world.containers(seen.append) as containers:
        containers.scratch.folder("shared")
        ended = containers.run("run", world.spec(script, **{"binds": [world.shared()], **options}))
    return ended, seen


def let_go(world: World) -> None:
    Path(world.shared().source, "go").touch()


def test_output_and_status_come_back_and_nothing_stays(world: World) -> None:
    ended, seen = run(world, "echo out; echo err >&2; printf 'a\\033[2K\\rb'; exit 3")
    assert ended == Ended(3)
    assert sorted(seen[:3]) == ["a\\x1b[2K\\x0db", "err", "out"]
    assert seen[3].startswith("run: exit status 3 after")
    assert seen[3].endswith(" 3 lines.")
    assert world.nothing_left()


def test_a_later_try_goes_on_with_the_container_that_runs(world: World) -> None:
    killed_try(world)
    (running,) = world.live()
    world.retry()
    let_go(world)
    ended, seen = run(world, PATIENT)
    assert ended == Ended(0)
    assert seen[0] == f"Going on with container {running['Id'][:12]} of attempt 1."
    assert seen[1:3] == [f"started in {running['Id'][:12]}", "released"]
    assert len(world.created()) == 1
    assert world.nothing_left()


def test_a_later_try_takes_the_result_of_the_container_that_has_ended(world: World) -> None:
    killed_try(world)
    let_go(world)
    assert wait_for(lambda: world.live()[0]["State"] == "exited")
    world.retry()
    ended, seen = run(world, PATIENT)
    assert (ended, seen[2]) == (Ended(0), "released")
    assert len(world.created()) == 1
    assert world.nothing_left()


def test_a_container_that_failed_is_not_taken_for_a_retry(world: World) -> None:
    script = "echo started in; sleep 0.5; [ -e /shared/go ] || exit 1; echo better"
    killed_try(world, script)
    assert wait_for(lambda: world.live()[0]["State"] == "exited")
    world.retry()
    let_go(world)
    ended, seen = run(world, script)
    assert ended == Ended(0)
    assert "better" in seen
    assert len(world.created()) == 2
    assert world.nothing_left()


@pytest.mark.parametrize("reason", ["cleared", "another command", "no scratch"])
def test_what_is_not_the_task_s_any_more_is_removed_first(world: World, reason: str) -> None:
    killed_try(world)
    (old,) = world.live()
    world.retry(**({"generation": world.task.generation + 1} if reason == "cleared" else {}))
    if reason == "no scratch":
        subprocess.run(["rm", "-rf", str(Path(world.shared().source).parent)], check=True)
    script = "echo again" if reason == "another command" else f"touch /shared/go; {PATIENT}"
    ended, seen = run(world, script)
    assert ended == Ended(0)
    assert old["Id"][:12] not in " ".join(line for line in seen if line.startswith("started in"))
    made = world.created()
    assert [labels["corpus.try_number"] for labels in made] == ["1", "2"]
    assert world.nothing_left()


def test_a_result_of_before_is_not_taken_for_a_container_that_leaves_none(world: World) -> None:
    results = {"binds": [Bind(f"{Path(world.shared().source).parent}/run", "/results", True)]}
    script = "[ -e /results/once ] && exit 0; echo old > /results/result.json; touch /results/once"
    # Each in a try of the same generation, of a task that was killed in between.
    for _ in range(2):
        containers = world.containers(print)
        containers.__enter__()
        containers.scratch.folder("run")
        assert containers.run("run", world.spec(script, **results)) == Ended(0)
        world.retry()
    left = sorted(os.listdir(results["binds"][0].source))
    containers.__exit__()
    assert left == ["once"]


def test_containers_of_another_host_on_the_same_engine_are_its_own(world: World) -> None:
    killed_try(world)
    (old,) = world.live()
    other = world.work / "other"
    (other / "scratch").mkdir(parents=True)
    elsewhere = replace(world, work=other, task=world.retry())
    assert run(elsewhere, "echo here")[0] == Ended(0)
    assert [container["Id"] for container in world.live()] == [old["Id"]]


def test_a_container_that_was_never_started_is_started(world: World) -> None:
    with world.containers(print) as containers:
        containers.scratch.folder("shared")
        spec = world.spec("echo started after all", binds=[world.shared()])
        labels = {
            **world.task.labels(),
            "corpus.scratch": str(containers.scratch.root),
            "corpus.step": "run",
            "corpus.work": spec.digest,
        }
        config = spec.config(containers.image(spec.image), labels)
        world.client.create_container_from_config(config)
        world.retry()
        ended, seen = run(world, "echo started after all")
    assert ended == Ended(0)
    assert "started after all" in seen
    assert len(world.created()) == 1
    assert world.nothing_left()


def test_a_try_that_was_overtaken_leaves_the_container_to_its_successor(world: World) -> None:
    """It lost touch with Airflow, which began another try here, and ends it only now."""
    old = start_try(world, PATIENT)
    assert old.stdout is not None
    old.stdout.readline()
    (running,) = world.live()
    world.retry()
    seen: list[str] = []
    with world.containers(seen.append) as containers:
        old.send_signal(signal.SIGINT)
        old.communicate(timeout=30)
        assert [container["State"] for container in world.live()] == ["running"]
        let_go(world)
        ended = containers.run("run", world.spec(PATIENT, binds=[world.shared()]))
    assert ended == Ended(0)
    assert seen[1] == f"started in {running['Id'][:12]}"
    assert world.nothing_left()


def test_a_try_that_was_overtaken_makes_no_more_containers(world: World) -> None:
    """It stood still between two steps, while another try began here."""
    old = world.containers(print).__enter__()
    world.retry()
    with world.containers(print):
        with pytest.raises(PassingFaultError, match="later attempt has taken this task over"):
            old.run("run", world.spec("echo twice"))
        old.__exit__()
        assert world.created() == []
    assert world.nothing_left()


def test_a_try_that_is_overtaken_as_it_makes_a_container_removes_it(world: World) -> None:
    old = world.containers(print).__enter__()
    world.retry()
    later = world.containers(print)
    create = old.engine.client.create

    def create_late(config: dict[str, object]) -> str:
        later.__enter__()
        return create(config)

    old.engine.client.create = create_late  # type: ignore[assignment,method-assign]
    with pytest.raises(PassingFaultError, match="later attempt has taken this task over"):
        old.run("run", world.spec("echo twice"))
    assert len(world.created()) == 1
    assert world.live() == []
    later.__exit__()
    assert world.nothing_left()


def test_a_name_that_means_another_image_by_now_is_begun_anew(world: World, extractor: str) -> None:
    name = f"corpus-test-moved:{os.getpid()}"
    repository, _, tag = name.rpartition(":")
    world.client.tag(world.image, repository, tag)
    try:
        old = world.containers(print, images=[name]).__enter__()
        old.scratch.mark_done("stage-in")
        world.retry()
        again = world.containers(print, images=[name]).__enter__()
        assert again.scratch.is_done("stage-in")
        world.client.tag(extractor, repository, tag)
        world.retry()
        with world.containers(print, images=[name]) as moved:
            assert not moved.scratch.is_done("stage-in")
    finally:
        world.client.remove_image(name)
    assert world.nothing_left()


def test_stop_ends_a_container_that_ignores_term(world: World) -> None:
    seen: list[str] = []
    ended: list[Ended] = []
    containers = world.containers(seen.append)

    def work() -> None:
        with containers:
            containers.scratch.folder("shared")
            ended.append(containers.run("run", world.spec(PATIENT, binds=[world.shared()])))

    thread = threading.Thread(target=work)
    thread.start()
    assert wait_for(lambda: any(line.startswith("started in") for line in seen))
    containers.stop()
    assert world.live() == []
    thread.join(30)
    assert ended == [Ended(128 + signal.SIGTERM)]
    assert world.nothing_left()


def test_stop_before_it_began_has_nothing_run(world: World) -> None:
    containers = world.containers(print)
    containers.stop()
    with containers:
        ended = containers.run("run", world.spec("echo never"))
    assert ended == Ended(128 + signal.SIGTERM)
    assert world.nothing_left()


def test_a_signal_handler_may_stop_it_in_the_middle_of_reading(world: World) -> None:
    """As Airflow does: the handler runs in the thread that waits for output."""
    script = TRY.replace(
        "with world",
        "import signal\ncontainers = None\n"
        "signal.signal(signal.SIGTERM, lambda *_: containers.stop())\nwith world",
    )
    arguments = [str(asdict(world.task)), world.image, str(world.work), PATIENT]
    task = subprocess.Popen(
        [sys.executable, "-c", script, *arguments], cwd=REPO, stdout=subprocess.PIPE, text=True
    )
    assert task.stdout is not None
    assert task.stdout.readline().startswith("started in")
    task.send_signal(signal.SIGTERM)
    out, _ = task.communicate(timeout=60)
    assert out.splitlines()[-1] == str(Ended(128 + signal.SIGTERM))
    assert world.nothing_left()


def test_a_container_removed_by_somebody_is_a_passing_fault(world: World) -> None:
    def remove(line: str) -> None:
        if line == "here":
            world.remove_all()

    with (
        pytest.raises(PassingFaultError, match="removed from outside"),
        world.containers(remove) as c,
    ):
        c.run("run", world.spec("echo here; sleep 60"))
    assert world.nothing_left()


def test_a_container_killed_by_somebody_shows_the_signal(world: World) -> None:
    def kill(line: str) -> None:
        if line == "here":
            world.client.kill(world.live()[0]["Id"])

    with world.containers(kill) as containers:
        ended = containers.run("run", world.spec("echo here; sleep 60"))
    assert ended == Ended(128 + signal.SIGKILL)
    assert world.nothing_left()


def test_too_much_memory_is_told_from_a_kill(world: World) -> None:
    ended, _ = run(world, "exec python -c \"x = b'x' * 2**30\"")
    assert ended == Ended(128 + signal.SIGKILL, out_of_memory=True)


@pytest.mark.parametrize(
    ("refusal", "kind", "message"),
    [
        ({"image": "nowhere/nothing:1"}, PassingFaultError, "has no image 'nowhere/nothing:1'"),
        (
            {"binds": [Bind("/no/such/folder", "/x")]},
            BadSettingError,
            "/no/such/folder is not there",
        ),
        ({"network": "no-such-net"}, BadSettingError, "no-such-net"),
        ({"binds": [Bind("/var/run", "/x")]}, BadSettingError, "socket of the Docker engine"),
        (
            {"binds": [Bind("/run/docker.sock", "/x")]},
            BadSettingError,
            "socket of the Docker engine",
        ),
        ({"binds": [Bind("/", "/x")]}, BadSettingError, "socket of the Docker engine"),
    ],
)
def test_what_cannot_be_run_is_said(
    world: World, refusal: dict[str, object], kind: type[Exception], message: str
) -> None:
    with pytest.raises(kind, match=message):
        run(world, "true", **refusal)
    assert world.nothing_left()


def test_a_command_that_is_not_there_ends_as_in_a_shell(world: World) -> None:
    ended, seen = run(world, "true", entrypoint=["no-such-command"])
    assert ended == Ended(127)
    assert "no-such-command failed" in seen[0]


def test_why_an_image_cannot_be_pulled_is_said(world: World) -> None:
    name = "127.0.0.1:9/nothing:1"
    with (
        pytest.raises(PassingFaultError, match=r"nor can it be pulled: .*127\.0\.0\.1:9"),
        world.containers(print, pull=world.client.pull) as containers,
    ):
        containers.run("run", world.spec("true", image=name))
    assert world.nothing_left()


def test_an_image_can_be_pulled(world: World) -> None:
    pulled: list[str] = []

    def pull(name: str) -> None:
        pulled.append(name)
        repository, _, tag = name.rpartition(":")
        world.client.tag(world.image, repository, tag)

    name = f"corpus-test-pulled:{os.getpid()}"
    try:
        with world.containers(print, pull=pull) as containers:
            assert containers.run("run", world.spec("true", image=name)) == Ended(0)
            assert containers.run("run", world.spec("true", image=name)) == Ended(0)
    finally:
        world.client.remove_image(name)
    assert pulled == [name]
