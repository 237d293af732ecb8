"""The path of `[api] base_url`, below which Airflow's web server answers, and without which it does too."""

from __future__ import annotations

from operators.ui.web import App, Receive, Scope, Send


class BasePath:
    """Answers what was asked for without that path as if it had been asked for with it.

    People come by a proxy, and their addresses have the path. Workers, reapers and health checks come directly,
    and need not know it: there is no second setting that has to agree with base_url.
    """

    def __init__(self, app: App) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        base, path = scope.get("root_path", ""), scope.get("path", "")
        if base and path and not f"{path}/".startswith(f"{base}/"):
            scope = {**scope, "path": base + path}
        await self._app(scope, receive, send)
