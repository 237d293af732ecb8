"""Roles and users of the FAB auth manager, kept in the metadata database."""

from __future__ import annotations

import logging
from typing import Any

from airflow.providers.fab.auth_manager.cli_commands.utils import get_application_builder
from airflow.providers.fab.auth_manager.security_manager.override import (
    FabAirflowSecurityManagerOverride,
)
from airflow.providers.fab.www.security import permissions as fab
from werkzeug.security import check_password_hash

from deploy.container.init.accounts import Account
from deploy.container.init.errors import BadUsersError

Permissions = set[tuple[str, str]]

_VIEWER: Permissions = set(FabAirflowSecurityManagerOverride.VIEWER_PERMISSIONS)
# Viewer and Admin are Airflow's own.
ROLES: dict[str, Permissions] = {
    # Triggers, clears and marks; may delete no run and no DAG, as Airflow's own role User may.
    "DataScientist": _VIEWER
    | {
        (fab.ACTION_CAN_CREATE, fab.RESOURCE_DAG_RUN),
        (fab.ACTION_CAN_EDIT, fab.RESOURCE_DAG_RUN),
        (fab.ACTION_CAN_CREATE, fab.RESOURCE_TASK_INSTANCE),
        (fab.ACTION_CAN_EDIT, fab.RESOURCE_TASK_INSTANCE),
        (fab.ACTION_CAN_EDIT, fab.RESOURCE_HITL_DETAIL),
        # What all of the above asks for as well; with it comes pausing.
        (fab.ACTION_CAN_EDIT, fab.RESOURCE_DAG),
    },
    "Reaper": {
        (fab.ACTION_CAN_READ, fab.RESOURCE_DAG),
        (fab.ACTION_CAN_READ, fab.RESOURCE_DAG_RUN),
        (fab.ACTION_CAN_READ, fab.RESOURCE_TASK_INSTANCE),
        # Airflow gives it to every role of a site at each start.
        (fab.ACTION_CAN_READ, fab.RESOURCE_WEBSITE),
    },
}


def apply(wanted: list[Account]) -> list[str]:
    """Make roles and users as they are wanted; what was changed, in lines. Raises `BadUsersError`."""
    # A line for each of hundreds of permissions.
    logging.getLogger("airflow.providers.fab").setLevel(logging.WARNING)
    builder: Any
    with get_application_builder() as builder:
        manager = builder.sm
        builder.add_permissions(update_perms=True)
        manager.sync_roles()
        lines = [line for name in ROLES for line in _role(manager, name)]
        for account in wanted:
            lines += [f"{account.name}: {change}" for change in _user(manager, account)]
    return lines


def _role(manager: Any, name: str) -> list[str]:
    manager.bulk_sync_roles([{"role": name, "perms": ROLES[name]}])
    role = manager.find_role(name)
    extra = [
        one for one in role.permissions if (one.action.name, one.resource.name) not in ROLES[name]
    ]
    for permission in extra:
        manager.remove_permission_from_role(role, permission)
    return [f"role {name}: no longer {permission}" for permission in extra]


def _user(manager: Any, account: Account) -> list[str]:
    role = manager.find_role(account.role)
    user = manager.find_user(username=account.name)
    other = manager.find_user(email=account.email)
    if other is not None and other.username.lower() != account.name.lower():
        raise BadUsersError(
            f"{account.email} of user {account.name} is that of {other.username} already."
        )
    if user is None:
        user = manager.add_user(
            account.name,
            account.first_name,
            account.last_name,
            account.email,
            role,
            password=account.password(),
        )
        user.active = account.active
        manager.update_user(user)
        return [f"made, with the role {account.role}"]
    changes = []
    if [one.name for one in user.roles] != [account.role]:
        user.roles = [role]
        changes.append(f"has the role {account.role} now")
    if user.active is not account.active:
        user.active = account.active
        changes.append("may log in again" if account.active else "may no longer log in")
    for field in ("email", "first_name", "last_name"):
        if getattr(user, field) != getattr(account, field):
            setattr(user, field, getattr(account, field))
            changes.append(f"has another {field.replace('_', ' ')}")
    if changes:
        manager.update_user(user)
    if not account.initial_password and not check_password_hash(user.password, account.password()):
        # Ends the sessions of the user, too.
        manager.reset_password(user.id, account.password())
        changes.append("has another password")
    return changes
