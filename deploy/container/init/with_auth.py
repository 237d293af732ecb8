"""Start Airflow's API server with the auth manager that was chosen: `python -m deploy.container.init.with_auth airflow api-server`."""

from __future__ import annotations

import os
import sys
from typing import NoReturn

from deploy.container.init import auth
from deploy.container.init.errors import InitError


def main() -> NoReturn:
    try:
        os.environ.update(auth.settings(os.environ))
    except InitError as refusal:
        sys.exit(f"Not started: {refusal}")
    os.execvp(sys.argv[1], sys.argv[1:])  # noqa: S606


if __name__ == "__main__":
    main()
