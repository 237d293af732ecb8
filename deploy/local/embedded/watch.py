"""Sees to it that the Airflow somebody waits for is alive: what died is started again."""

from __future__ import annotations

import time

from deploy.common.errors import StartError
from deploy.local.embedded.server import EmbeddedAirflow, Running
from deploy.local.embedded.share import Share
from deploy.local.say import say

_LOOK_S = 5.0
# A part counts as dead to Airflow 15 s after its last sign of life; a machine that slept, or has much to
# do, is well again within this time.
_ILL_S = 20.0
_RESTARTS = 3


class Watch:
    """To be called again and again while one waits; looks every 5 s."""

    def __init__(self, airflow: EmbeddedAirflow, share: Share, running: Running):
        self.running = running
        self._airflow = airflow
        self._share = share
        self._restarts = 0
        self._looked = time.monotonic()
        self._well = self._looked

    def __call__(self) -> None:
        """Look, if it is time to. Raises `StartError` if it does not stay alive."""
        now = time.monotonic()
        if now - self._looked < _LOOK_S:
            return
        self._looked = now
        ailing = self._airflow.ailing(self.running)
        if not ailing:
            self._well = now
            return
        # With its first process gone nothing comes back by itself.
        if now - self._well < _ILL_S and self._airflow.running() is not None:
            return
        with self._share.changing():
            # Another command may have started it again.
            self.running = self._airflow.running() or self.running
            if self._airflow.ailing(self.running):
                self._start_again(ailing)
        self._well = self._looked = time.monotonic()

    def _start_again(self, ailing: str) -> None:
        if self._restarts == _RESTARTS:
            raise StartError(
                f"Airflow has died {_RESTARTS + 1} times ({ailing}); see {self._airflow.log}."
            )
        self._restarts += 1
        say(f"  Airflow is not well ({ailing}): starting it again ...")
        self.running = self._airflow.start(self.running.port, kept=self.running.kept)
