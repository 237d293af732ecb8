"""What of a machine, its environment and its settings would get in the way of a start: one small function a thing.

`finding` makes the checks, `report` shows what they found. Which checks are made, and with which bounds, is up to
who starts something: deploy/local/doctor for `make`, deploy/host/verbs/doctor.py for a host.
"""
