"""One try of a task on one worker host, to be killed by a test.

    python -m tests.system.cluster.reaper.worker_host SERVICE OPTIONS TRY

OPTIONS are the service's and TRY the fields of `TaskTry`, as JSON; the settings come from the
environment. Exits with the service's status.
"""

from __future__ import annotations

import json
import sys
import tempfile
from pathlib import Path

from corpus.settings import Settings
from operators.runners.command import Call
from operators.runners.docker import DockerRunner
from operators.settings import WorkerSettings
from operators.task_try import TaskTry


def main(service: str, options: str, task: str) -> int:
    tried = TaskTry(**json.loads(task))
    identity = {"dag_id": tried.dag_id, "run_id": tried.run_id, "run_uuid": tried.run_uuid}
    with tempfile.TemporaryDirectory() as folder:
        return DockerRunner(Settings.load(), WorkerSettings.load().docker, tried).run(
            Call(service, json.loads(options), identity=identity),
            result=Path(folder, "result.json"),
            on_line=lambda line: print(line, flush=True),
        )


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:]))
