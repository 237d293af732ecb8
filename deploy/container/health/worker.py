"""Does this container's Celery worker take tasks from its queue, and can they reach the API that they report to?

A worker that answers a ping may consume nothing: the ping comes by another connection. One that
consumes and has a free slot always has a BRPOP pending in Redis; one without a free slot need not.
"""

from __future__ import annotations

import os
import re
import time
from dataclasses import dataclass

from deploy.container.health.api import check_execution_api
from deploy.container.health.broker import Redis
from deploy.container.health.configuration import setting
from deploy.container.health.errors import (
    HealthError,
    RedisError,
    StartingError,
    UnreachableError,
)
from deploy.container.health.patience import Patience
from deploy.container.health.processes import (
    Process,
    descendants,
    main_process,
    ports_to,
    processes,
)

# Looks, and seconds between two: for a moment after each message nothing is pending, and for longer
# while a slot is given up by one task and not yet taken by the next.
_LOOKS = 8
_PAUSE = 0.5
# From the start of the process until what it does is judged.
_START_SECONDS = float(os.environ.get("CORPUS_HEALTH_START_S", "60"))
# Of Celery (before its first task) and of Airflow (since); both stay when the task has ended.
_SLOT = re.compile(r"\[celeryd: .*ForkPoolWorker|airflow (task )?supervisor: ")


@dataclass(frozen=True)
class Worker:
    main: Process
    slots: int
    busy: int

    @classmethod
    def find(cls) -> Worker:
        all_ = processes()
        main = main_process(all_)
        if ":MainProcess]" not in main.title:
            raise StartingError("the Celery worker has not started yet")
        slots = {one.pid for one in all_ if one.parent == main.pid and _SLOT.match(one.title)}
        # A task is a child of its slot.
        return cls(main, len(slots), len(slots & {one.parent for one in all_}))


def check() -> str:
    """What the worker does, in a line. Raises `HealthError`; a worker that goes on failing is ended."""
    worker, patience = Worker.find(), Patience("worker")
    try:
        with Redis(setting("celery", "broker_url")) as redis:
            done = _consuming(redis)
    except (UnreachableError, RedisError, OSError) as error:
        # The worker cannot be blamed, and gets its whole time to come back when Redis has.
        patience.forget()
        raise (
            error if isinstance(error, UnreachableError) else UnreachableError(f"Redis: {error}")
        ) from None
    except HealthError as failure:
        if time.time() - worker.main.started < _START_SECONDS:
            raise StartingError(f"{failure}; started just now") from None
        pid = worker.main.pid
        what = patience.fail(
            pid,
            idle=lambda: Worker.find().busy == 0,
            children=lambda: [one.pid for one in descendants(pid, processes())],
        )
        raise HealthError(f"{failure}; {what}") from None
    patience.forget()
    # Nothing that a new start of the worker would mend.
    check_execution_api()
    return done


def _consuming(redis: Redis) -> str:
    """Raises `HealthError` if each look shows free slots, and none that the worker waits for a task."""
    for look in range(_LOOKS):
        if look:
            time.sleep(_PAUSE)
        worker = Worker.find()
        tasks = f"{worker.busy} of {worker.slots} slots taken"
        if not worker.slots:
            reason = "has no process that could run a task"
            continue
        if worker.busy >= worker.slots:
            return f"works: {tasks}"
        ports = ports_to(redis.port)
        seen = _seen(redis, ports)
        if seen:
            return f"waits for tasks: {tasks}"
        if seen is False:
            reason = "is connected to Redis, but does not wait for tasks"
        elif not ports:
            reason = "is not connected to Redis"
        elif queued := _queued(redis):
            reason = f"takes none of the {queued} tasks in the queue"
        else:
            # Something between here and Redis hides who is who, and nothing waits to be taken.
            return f"no task is in the queue: {tasks}"
    raise HealthError(f"{reason} ({tasks})")


def _seen(redis: Redis, ports: set[int]) -> bool | None:
    """Whether Redis sees this container wait for a message; None if it sees no connection of it."""
    try:
        clients = redis.clients()
    except RedisError:
        return None
    own = [one for one in clients if int(one["addr"].rpartition(":")[2]) in ports]
    own = [one for one in own if not one["cmd"].startswith("client")]
    if not own:
        return None
    # `b`: blocked in it at this moment, and not just the last thing that was heard.
    return any(one["cmd"] == "brpop" and "b" in one["flags"] for one in own)


def _queued(redis: Redis) -> int:
    queues = setting("operators", "default_queue", "default").split(",")
    return sum(int(redis.command("LLEN", queue.strip())) for queue in queues)
