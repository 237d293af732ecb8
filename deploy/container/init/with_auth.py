"""Start Airflow's API server with the auth manager that was chosen: `python -m deploy.container.init.with_auth airflow api-server`."""

from __future__ import annotations

import os
import sys
from typing import NoReturn

from deploy.common.base_url import NAME, check_base_url
from deploy.common.errors import DeployError
from deploy.container.init import auth


def main() -> NoReturn:
    try:
        if address := os.environ.get(NAME):
            check_base_url(address)
        os.environ.update(auth.settings(os.environ))
    except DeployError as refusal:
        sys.exit(f"Not started: {refusal}")
    os.execvp(sys.argv[1], sys.argv[1:])  # noqa: S606


if __name__ == "__main__":
    main()
