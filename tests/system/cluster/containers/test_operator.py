"""ContainerOperator in a DAG of its own, run by a real Airflow."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from datetime import timedelta
from typing import Any

import pytest
from airflow.utils.session import create_session

from operators import ContainerOperator
from tests.support import airflow_home
from tests.system.cluster.containers.world import World, wait_for

pytestmark = pytest.mark.airflow
COUNT = {"type": "object", "properties": {"count": {"type": "integer"}}, "required": ["count"]}


def shell(world: World, script: str, **arguments: Any) -> Any:
    """Run a shell script as a task; its task instance."""
    return world.run(
        ContainerOperator, image=world.image, entrypoint="sh -c", command=[script], **arguments
    )


def test_a_result_comes_back_and_output_is_shown(
    world: World, capfd: pytest.CaptureFixture[str]
) -> None:
    ti = shell(
        world, """echo hello; echo '{"count": 3}' > "$CORPUS_RESULT" """, result_schema=COUNT
    )
    assert ti.state == "success"
    assert ti.xcom_pull(task_ids="task") == {"count": 3}
    assert "hello" in "".join(capfd.readouterr())
    assert world.nothing_left()


def test_output_is_no_result(world: World) -> None:
    ti = shell(world, "echo hello")
    assert ti.state == "success"
    assert ti.xcom_pull(task_ids="task") is None


@pytest.mark.parametrize(
    ("script", "message"),
    [
        ("true", "left no file at $CORPUS_RESULT"),
        ("echo nonsense > $CORPUS_RESULT", "is not what it should be: Expecting value"),
        ("""echo '{"count": "many"}' > $CORPUS_RESULT""", "'many' is not of type 'integer'"),
        ("head -c 300000 /dev/zero > $CORPUS_RESULT", "more than 262144 bytes"),
        ("ln -s /etc/hostname $CORPUS_RESULT", "left no file at $CORPUS_RESULT"),
        ("mkdir $CORPUS_RESULT", "left no file at $CORPUS_RESULT"),
        ("head -c 200000 /dev/zero | tr '\\0' '[' > $CORPUS_RESULT", "is not what it should be"),
    ],
)
def test_a_result_that_is_none_fails_at_once(
    world: World, script: str, message: str, capfd: pytest.CaptureFixture[str]
) -> None:
    ti = shell(world, script, result_schema=COUNT, retries=3)
    assert (ti.state, ti.try_number) == ("failed", 1)
    assert message in "".join(capfd.readouterr())
    assert world.nothing_left()


def test_a_command_that_fails_is_tried_again_by_one_container_at_a_time(world: World) -> None:
    ti = shell(world, "exit 9", retries=1, retry_delay=timedelta(0))
    assert (ti.state, ti.try_number) == ("failed", 2)
    made = world.created()
    assert [labels["corpus.try_number"] for labels in made] == ["1", "2"]
    assert len({labels["corpus.generation"] for labels in made}) == 1
    assert world.nothing_left()

    # What Airflow does when somebody clears a task: containers of before are not its own any more.
    from airflow.models.taskinstance import clear_task_instances

    with create_session() as session:
        cleared = session.merge(ti)
        clear_task_instances([cleared], session)
        assert cleared.max_tries > int(made[0]["corpus.generation"])


def test_an_exit_status_may_mean_that_there_is_nothing_to_do(world: World) -> None:
    assert shell(world, "exit 9", skip_on_exit_code=9).state == "skipped"


def test_too_much_memory_is_said(world: World, capfd: pytest.CaptureFixture[str]) -> None:
    ti = shell(world, "exec python -c 'bytes(1) * 2**30'", memory_bytes=128 * 2**20)
    assert ti.state == "failed"
    assert "It needed more memory than its container has" in "".join(capfd.readouterr())


def test_a_missing_image_is_named_with_what_to_do(
    world: World, capfd: pytest.CaptureFixture[str]
) -> None:
    assert world.run(ContainerOperator, image="nowhere/nothing:1").state == "failed"
    said = "".join(capfd.readouterr())
    assert (
        "the Docker engine at unix:///var/run/docker.sock has no image 'nowhere/nothing:1'" in said
    )
    assert "docker pull nowhere/nothing:1" in said


def test_a_task_beyond_its_time_leaves_nothing(world: World) -> None:
    limit = timedelta(seconds=3)
    ti = shell(world, "trap '' TERM; sleep 100 & wait; sleep 100", execution_timeout=limit)
    assert ti.state == "failed"
    assert world.nothing_left()


TASK = """
import sys
from tests.support import airflow_home
from airflow.sdk import DAG
from operators import ContainerOperator
with DAG(sys.argv[1]) as dag:
    ContainerOperator(task_id="task", image=sys.argv[2], entrypoint="sh -c", command=[sys.argv[3]])
ti = airflow_home.run_dag(dag).get_task_instance("task")
print("state", ti.state)
"""


def test_a_task_is_ended_in_the_middle_of_writing_a_line(world: World) -> None:
    """A log is locked while a line is written, and the signal handler runs in that very moment."""
    script = "trap '' TERM; while true; do echo chatty; done"
    task = subprocess.Popen(
        [sys.executable, "-c", TASK, world.task.dag_id, world.image, script],
        cwd=airflow_home.REPO,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )
    assert task.stdout is not None
    try:
        for line in task.stdout:
            if "chatty" in line:
                break
        # Nobody reads on, so the pipe is full soon, and the task in the middle of a line.
        time.sleep(3)
        task.send_signal(signal.SIGTERM)
        assert wait_for(lambda: not world.live(), 30)
        out, _ = task.communicate(timeout=60)
    finally:
        task.kill()
        task.communicate()
    assert out.splitlines()[-1] == "state failed"
    assert world.nothing_left()


def test_it_sees_what_it_is_given(world: World) -> None:
    given = world.work / "given"
    given.mkdir()
    (given / "file").write_text("from the host")
    script = (
        """printf '{"text": "%s %s", "name": "%s"}' "$(cat /given/file)" "$(cat /run/secrets/file)" """
        """ "$NAME" > $CORPUS_RESULT"""
    )
    ti = shell(
        world,
        script,
        binds=[f"{given}:/given"],
        secrets=str(given),
        environment={"NAME": "{{ params.name }}"},
        params={"name": "Ada"},
        result_schema={"type": "object"},
    )
    assert ti.xcom_pull(task_ids="task") == {"text": "from the host from the host", "name": "Ada"}


def test_limits_are_the_settings_but_for_those_given(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("CORPUS_DOCKER__PIDS", "77")
    script = (
        "cd /sys/fs/cgroup; cat pids/pids.max pids.max 2>/dev/null;"
        " cat memory/memory.limit_in_bytes memory.max 2>/dev/null; true"
    )
    ti = shell(
        world,
        f'({script}) | python -c "import json, sys; print(json.dumps(list(map(int, sys.stdin))))"'
        " > $CORPUS_RESULT",
        memory_bytes=100 * 2**20,
        result_schema={"type": "array"},
    )
    assert ti.xcom_pull(task_ids="task") == [77, 100 * 2**20]


def test_the_first_engine_that_answers_is_used(world: World) -> None:
    urls = [f"unix://{world.work}/nobody.sock", "unix:///var/run/docker.sock"]
    assert shell(world, "true", docker_url=urls).state == "success"


def test_a_mapped_task_has_a_container_for_each(world: World) -> None:
    from airflow.sdk import DAG

    with DAG(world.task.dag_id) as dag:
        ContainerOperator.partial(
            task_id="task",
            image=world.image,
            entrypoint="sh -c",
            result_schema={"type": "integer"},
        ).expand(command=[[f"echo {n} > $CORPUS_RESULT"] for n in (1, 2)])
    run = airflow_home.run_dag(dag)
    found = {ti.map_index: ti.xcom_pull(task_ids="task", map_indexes=ti.map_index)
             for ti in run.get_task_instances()}  # fmt: skip
    assert found == {0: 1, 1: 2}
    assert {labels["corpus.map_index"] for labels in world.created()} == {"0", "1"}
    assert os.listdir(world.scratch) == []
