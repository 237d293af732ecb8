"""The parent's side of the sandbox: a warm pool of children, each fed by one thread."""

from __future__ import annotations

import itertools
import threading
import time
from collections import deque
from collections.abc import Iterable, Iterator, Sequence
from concurrent.futures import FIRST_COMPLETED, Future, ThreadPoolExecutor, wait
from dataclasses import dataclass, replace
from types import TracebackType
from typing import Any, Literal

from corpus.errors import BadInputError, PassingFaultError
from corpus.sandbox.barriers import ALL, Barriers
from corpus.sandbox.process import DiedError, Process, TimedOutError
from corpus.sandbox.template import LostError, Template
from corpus.sandbox.wire import BadAnswerError

Reason = Literal["timeout", "memory", "crash", "error", "empty"]

# Outcomes that wait for a slow one before them; they hold answers, not payloads.
_WAITING = 64


@dataclass(frozen=True)
class Outcome:
    """What became of one file: `value` where `reason` is None, else why there is none.

    `reason` is `timeout`, `memory` (an allocation failed, or the kernel killed the child for its
    memory), `crash` (`detail` names the signal or exit status), `error` (`detail` is the exception's
    type and message) or `empty` (0 bytes; no child saw them). `elapsed_s` is wall-clock seconds,
    `peak_memory_bytes` the child's resident memory at its highest.
    """

    key: str
    value: Any = None
    reason: Reason | None = None
    detail: str = ""
    elapsed_s: float = 0.0
    peak_memory_bytes: int = 0


class Sandbox:
    """Runs `function` ("module:name", of bytes) on files in `jobs` child processes.

    A child is forked from an interpreter with the parent's `sys.path` that has loaded the function and
    seen no file. It has hardly any environment, and may do nothing but compute on its memory and answer
    (docs/operate/security.md): no files, no network, no other processes. It handles many files, and is replaced, within milliseconds, after
    `recycle_after` files, and after each time-out, crash or lack of memory. A file may take
    `timeout_s` seconds, and `memory_bytes` of address space beyond what the child had with the
    function loaded; the file itself counts. A file that crashes, or runs out of memory in, a child
    that others went through before is tried once more in a fresh one: the fault may be theirs.

    The function returns what JSON can hold, with `bytes` and numeric numpy arrays anywhere in it;
    tuples come back as lists. An answer may have `answer_bytes`, and 64 KiB beside its arrays and texts.
    With `factory_arguments`, `function` is called once, before any file, with these (JSON) arguments, and
    returns the function of bytes. Loading it may start no threads. Nothing can be imported for a file's
    sake: modules that are imported late are named by the function's module, in `LOADED_FIRST`, or in
    `LOADED_IN_CHILD` if they start threads. `barriers` is for tests and measurements.

    Children die with the thread that started them, however it ends. A child that cannot start at all
    raises `CorpusError` out of `map`, and one that is too slow to start `PassingFaultError`.
    """

    def __init__(
        self,
        function: str,
        *,
        jobs: int = 1,
        timeout_s: float = 60.0,
        memory_bytes: int = 2 * 2**30,
        recycle_after: int = 1_000,
        factory_arguments: Sequence[Any] | None = None,
        answer_bytes: int = 256 * 2**20,
        barriers: Barriers = ALL,
    ):
        if ":" not in function:
            raise BadInputError(f"{function!r} is not of the form module:name.", field="function")
        self.function = function
        self.jobs = jobs
        self.timeout_s = timeout_s
        self.memory_bytes = memory_bytes
        self.recycle_after = recycle_after
        self.factory_arguments = factory_arguments
        self.answer_bytes = min(answer_bytes, memory_bytes)
        self.barriers = barriers
        self._local = threading.local()
        self._lock = threading.Lock()
        self._template: Template | None = None
        self._children: set[Process] = set()
        self._closed = False
        self._threads = ThreadPoolExecutor(jobs, "sandbox")

    def __enter__(self) -> Sandbox:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close()

    def close(self) -> None:
        """Kill all children, and drop what is under way."""
        with self._lock:
            self._closed = True
            children = list(self._children)
            template = self._template
        self._threads.shutdown(wait=False, cancel_futures=True)
        for child in children:
            child.kill()
        if template and not template.ready:
            template.kill()
        self._threads.shutdown(wait=True)
        for child in children:
            child.close()
        if template:
            template.kill()
            template.close()

    def map(self, items: Iterable[tuple[str, bytes]]) -> Iterator[Outcome]:
        """Outcomes in the order of the items, which are pulled as children get free.

        At most `jobs` + 1 payloads are held at a time.
        """
        source = iter(items)
        outcomes: deque[Future[Outcome]] = deque()
        exhausted = False
        while True:
            while outcomes and outcomes[0].done():
                yield outcomes.popleft().result()
            unfinished = [future for future in outcomes if not future.done()]
            room = len(outcomes) < self.jobs * _WAITING
            if not exhausted and room and len(unfinished) <= self.jobs:
                item = next(source, None)
                if item is None:
                    exhausted = True
                else:
                    outcomes.append(self._threads.submit(self._run, *item))
                    # The name would keep the payload while its outcome is awaited.
                    del item
            elif not outcomes:
                return
            elif exhausted or not room:
                wait([outcomes[0]])
            else:
                wait(unfinished, return_when=FIRST_COMPLETED)

    def _run(self, key: str, data: bytes) -> Outcome:
        if not data:
            return Outcome(key, reason="empty", detail="the file has 0 bytes")
        for attempt in itertools.count():
            child = self._child()
            fresh = child.served == 0
            outcome = self._serve(child, key, data)
            replaced = outcome.reason in ("timeout", "memory", "crash")
            if replaced or child.served >= self.recycle_after:
                self._discard(child)
            if fresh or attempt or outcome.reason not in ("memory", "crash"):
                break
        return outcome

    def _serve(self, child: Process, key: str, data: bytes) -> Outcome:
        began = time.monotonic()
        try:
            answer = child.ask(data, began + self.timeout_s)
            value = answer.value()
        except TimedOutError as stop:
            outcome = Outcome(
                key,
                reason="timeout",
                detail=f"not done after {self.timeout_s:g} s",
                peak_memory_bytes=stop.peak,
            )
        except DiedError as end:
            outcome = Outcome(
                key,
                reason="memory" if end.out_of_memory else "crash",
                detail=end.detail,
                peak_memory_bytes=end.peak,
            )
        except BadAnswerError as bad:
            outcome = Outcome(key, reason="crash", detail=f"the child's answer is broken: {bad}")
        else:
            reason = None if answer.status == "ok" else answer.status
            outcome = Outcome(key, value, reason, answer.detail, 0.0, answer.peak)
        return replace(outcome, elapsed_s=time.monotonic() - began)

    def _child(self) -> Process:
        child: Process | None = getattr(self._local, "child", None)
        if child is None:
            child = self._fork()
            with self._lock:
                if not self._closed:
                    self._children.add(child)
                    self._local.child = child
                    return child
            child.kill()
            child.close()
            raise RuntimeError("the sandbox is closed")
        return child

    def _fork(self) -> Process:
        try:
            return Process(self._warm(), self.answer_bytes)
        except LostError:
            # Its children are lost with it. Another one that dies at once is no accident.
            try:
                return Process(self._warm(), self.answer_bytes)
            except LostError as error:
                raise PassingFaultError(
                    "what a sandbox forks its children from has died twice.",
                    hint="The machine may be short of memory.",
                    function=self.function,
                ) from error

    def _warm(self) -> Template:
        with self._lock:
            if self._closed:
                raise RuntimeError("the sandbox is closed")
            if self._template and self._template.lost:
                self._template.close()
                self._template = None
            if self._template is None:
                self._template = Template(
                    self.function, self.factory_arguments, self.memory_bytes, self.barriers
                )
            return self._template

    def _discard(self, child: Process) -> None:
        self._local.child = None
        with self._lock:
            self._children.discard(child)
        child.kill()
        child.close()
