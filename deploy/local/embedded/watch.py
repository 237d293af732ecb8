"""Sees to it that the Airflow somebody waits for is alive: what died is started again."""

from __future__ import annotations

import time

from deploy.common.airflow_api import AirflowApi
from deploy.common.errors import StartError
from deploy.common.shell import say
from deploy.local.embedded.server import EmbeddedAirflow, Running
from deploy.local.embedded.share import Share

_LOOK_S = 5.0
# Who has a process and does not answer may just have much to do, and a restart costs what runs a try.
_HUNG_S = 300.0
# A process that has ended may be about to be replaced by Airflow itself.
_DEAD_S = 10.0
_RESTARTS = 3


class Watch:
    """To be called again and again while one waits; looks every 5 s.

    :param api: gets the address of what runs, should that change.
    """

    def __init__(self, airflow: EmbeddedAirflow, share: Share, running: Running, api: AirflowApi):
        self.running = running
        self._airflow = airflow
        self._share = share
        self._api = api
        self._restarts = 0
        self._looked = time.monotonic()
        self._ill_since: float | None = None

    def __call__(self) -> None:
        """Look, if it is time to. Raises `StartError` if it does not stay alive, or was stopped."""
        if time.monotonic() - self._looked < _LOOK_S:
            return
        ailing = self._airflow.ailing(self.running)
        self._looked = time.monotonic()
        if not ailing:
            self._ill_since = None
            return
        if self._ill_since is None:
            self._ill_since = self._looked
        dead = self._airflow.dead()
        if self._looked - self._ill_since < (_DEAD_S if dead else _HUNG_S):
            return
        with self._share.changing():
            recorded = self._airflow.recorded()
            if recorded is None:
                raise StartError(
                    "This Airflow was stopped: by `make down`, or as it did not start."
                )
            # Another command may have started it again, or kept it.
            self.running = recorded
            if self._airflow.ailing(recorded):
                self._start_again(ailing)
        self._api.url = self.running.url
        self._ill_since = None
        self._looked = time.monotonic()

    def _start_again(self, ailing: str) -> None:
        if self._restarts == _RESTARTS:
            raise StartError(
                f"Airflow has died {_RESTARTS + 1} times ({ailing}); see {self._airflow.log}."
            )
        self._restarts += 1
        say(f"  Airflow is not well ({ailing}): starting it again ...")
        self.running = self._airflow.start(self.running.port, kept=self.running.kept)
