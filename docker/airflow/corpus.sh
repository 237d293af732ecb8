#!/bin/sh
# The `corpus` of the code that is mounted.
exec /opt/corpus/bin/python -m corpus "$@"
