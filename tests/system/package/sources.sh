#!/bin/sh
# Where this machine has Debian 12 from, as lines of a sources.list: the archive, its updates and its security updates.
set -eu
# shellcheck disable=SC2016 # apt's own names
sources=$(apt-get indextargets --format 'deb $(REPO_URI) $(RELEASE) $(COMPONENT)' 'Created-By: Packages' \
    | grep -E '/? bookworm(-updates|-security)? main$' | sort -u)
if ! printf '%s\n' "$sources" | grep -q ' bookworm main$'; then
    echo "No archive of Debian 12 (bookworm main) is among the sources of apt here." >&2
    exit 1
fi
printf '%s\n' "$sources"
