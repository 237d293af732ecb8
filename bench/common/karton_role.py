"""What bench/karton.py runs in Karton's environment: a producer, a consumer, and who takes the results.

    karton_role.py extract ROOT FEATURE_SET...   a consumer: prints `ready`, goes on until SIGTERM
    karton_role.py results COUNT FILE            prints `ready`; when COUNT results are in, their time
    karton_role.py produce FILE                  pushes the files listed there once standard input ends

Without a ROOT ('') no blobs are stored: the bucket is all there is of a file.

Karton is used as its documentation shows. The work on a file is the corpus's own code: what `ingest`
and `extract` call, in one process without a sandbox.
"""

from __future__ import annotations

import hashlib
import json
import os
import signal
import sys
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any, ClassVar

from karton.core import Config, Consumer, Karton, Producer, Resource, Task

from corpus.features.sandboxed import extractor
from corpus.services.ingest.identity import identify
from corpus.store import blobs
from corpus.store.object_store import Store

# One at a time would leave the consumers waiting for the bucket.
_UPLOADS = 4


class Extract(Karton):
    """Identity, blob and vectors of one executable; sent on, the vectors as a resource."""

    identity = "corpus.extract"
    filters: ClassVar = [{"type": "sample"}]

    def __init__(self, root: str, names: list[str]) -> None:
        self.store = Store(root) if root else None
        self.names = names
        self.extract = extractor(*names)
        super().__init__(config=Config())

    def process(self, task: Task) -> None:
        data = task.get_resource("sample").content
        identity = {
            "sha256": hashlib.sha256(data).hexdigest(),
            "md5": hashlib.md5(data, usedforsecurity=False).hexdigest(),
            "size": len(data),
            **identify(data),
        }
        if self.store:
            record = blobs.put(self.store, identity["sha256"], data)
            identity |= {"blob_sha256": record.blob_sha256, "blob_size": record.blob_size}
        answer = self.extract(data)
        vectors = b"".join(answer[name]["vector"].tobytes() for name in self.names)
        raw = json.dumps([answer[name]["raw"] for name in self.names]).encode()
        payload = {
            "identity": identity,
            "vectors_bytes": len(vectors),
            "vectors": Resource("vectors", content=vectors + raw),
        }
        self.send_task(Task({"type": "vectors"}, payload=payload))


class Results(Consumer):
    """Takes what the consumers send, as a reporter does; leaves the vectors in the bucket."""

    identity = "corpus.results"
    filters: ClassVar = [{"type": "vectors"}]

    def __init__(self, count: int) -> None:
        self.count = count
        self.tasks: list[Task] = []
        super().__init__(config=Config())

    def process(self, task: Task) -> None:
        self.tasks.append(task)
        if len(self.tasks) == self.count:
            self.ended = time.monotonic()
            os.kill(os.getpid(), signal.SIGTERM)


def results(count: int, file: Path) -> None:
    """Leaves each file's identity, and a digest of its vectors, which takes no part in the time."""
    consumer = Results(count)
    idle_s = time.process_time()
    print("ready", flush=True)
    consumer.loop()
    _say(ended=consumer.ended, cpu_s=time.process_time() - idle_s)
    rows: list[dict[str, Any]] = []
    for task in consumer.tasks:
        content = task.get_resource("vectors").content
        vectors = content[: task.get_payload("vectors_bytes")]
        digest = hashlib.sha256(vectors).hexdigest()
        rows.append({**task.get_payload("identity"), "vectors_sha256": digest})
    file.write_text(json.dumps(rows))


def produce(file: Path) -> None:
    paths = [Path(line) for line in file.read_text().splitlines()]
    producer = Producer(config=Config(), identity="corpus.producer")
    idle_s = time.process_time()
    print("ready", flush=True)
    sys.stdin.read()
    began = time.monotonic()

    def push(path: Path) -> None:
        sample = Resource(path.name, content=path.read_bytes())
        producer.send_task(Task({"type": "sample"}, payload={"sample": sample}))

    with ThreadPoolExecutor(_UPLOADS) as uploads:
        for _ in uploads.map(push, paths):
            pass
    _say(began=began, ended=time.monotonic(), cpu_s=time.process_time() - idle_s)


def _say(**figures: float) -> None:
    print(json.dumps(figures), flush=True)


def main() -> None:
    role, *arguments = sys.argv[1:]
    if role == "extract":
        consumer = Extract(arguments[0], arguments[1:])
        print("ready", flush=True)
        consumer.loop()
    elif role == "results":
        results(int(arguments[0]), Path(arguments[1]))
    else:
        produce(Path(arguments[0]))


if __name__ == "__main__":
    main()
