"""The init job: migrates the metadata database and sets up roles and users, by `python -m deploy.container.init`.

Run once before the first start, before an upgrade, and when users.toml or a password's file has
changed; a run that finds nothing to do changes nothing. Exit status 1: nothing was done after the
step that the last line names.
"""

from __future__ import annotations

import os
import sys

from deploy.container.init import accounts, auth
from deploy.container.init.errors import InitError

_WAIT_SECONDS = float(os.environ.get("CORPUS_INIT_WAIT_S", "120"))


def main() -> int:
    try:
        kind = auth.kind(os.environ)
        # Before anything is changed: mistakes in users.toml are the usual ones.
        wanted = accounts.read()
        made = [account.name for account in wanted if account.ensure_password()]
        # With the simple manager, too: what it has of its own is nothing, and a change back is easy.
        os.environ.update(auth.settings({**os.environ, "CORPUS_AUTH": "fab"}))
        # Imports Airflow, which reads its environment.
        from deploy.container.init import database

        database.migrate(_WAIT_SECONDS)
        if kind == "fab":
            from deploy.container.init import fab

            changes = fab.apply(wanted)
        else:
            changes = [f"{account.name}: {account.role}" for account in wanted if account.active]
    except InitError as refusal:
        print(f"Refused: {refusal}", file=sys.stderr)
        return 1
    print("\n".join(changes or ["Roles and users are as they should be."]))
    if made:
        print(f"New passwords, of {', '.join(made)}, are in {accounts.FOLDER / 'passwords'}.")
    if kind == "simple":
        print("The API server reads users and passwords when it starts.")
    return 0


if __name__ == "__main__":
    sys.exit(main())
