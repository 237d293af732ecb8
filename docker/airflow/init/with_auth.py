"""Starts Airflow's API server with the auth manager that is chosen: `python with_auth.py airflow api-server`."""

from __future__ import annotations

import os
import sys
from typing import NoReturn

import auth
from failures import Refusal


def main() -> NoReturn:
    try:
        os.environ.update(auth.settings(os.environ))
    except Refusal as refusal:
        sys.exit(f"Not started: {refusal}")
    os.execvp(sys.argv[1], sys.argv[1:])  # noqa: S606


if __name__ == "__main__":
    main()
