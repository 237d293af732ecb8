"""What a worker knows of all workers and of the queue, as JSON; run in a worker's container.

`up` and `status` pass this file to the Python there: it needs Airflow and the broker's address.
"""

from __future__ import annotations

import json
import socket
import sys
from typing import Any

from airflow.configuration import conf
from airflow.providers.celery.executors.celery_executor import app


def report(expected: int) -> dict[str, Any]:
    """{"queues": {name: waiting}, "workers": [{"host", "slots", "running", "consuming"}]}"""
    # As soon as all have answered; the seconds are for those that do not.
    inspect = app.control.inspect(timeout=5, limit=expected)
    stats, running = inspect.stats() or {}, inspect.active() or {}
    with app.connection_for_read() as connection:
        broker = connection.default_channel.client
        listening = {
            client["addr"].rpartition(":")[0]
            for client in broker.client_list()
            if client["cmd"] == "brpop"
        }
        names = conf.get("operators", "default_queue").split(",")
        queues = {name: broker.llen(name) for name in names}
    workers = []
    for name, worker in sorted(stats.items()):
        host = name.partition("@")[2]
        slots, busy = worker["pool"]["max-concurrency"], len(running.get(name, []))
        # One that answers may still not listen; one without a free slot need not.
        consuming = busy >= slots or _address(host) in listening
        workers.append({"host": host, "slots": slots, "running": busy, "consuming": consuming})
    return {"queues": queues, "workers": workers}


def _address(host: str) -> str:
    try:
        return socket.gethostbyname(host)
    except OSError:
        return ""


if __name__ == "__main__":
    print("\n" + json.dumps(report(int(sys.argv[1]))))
