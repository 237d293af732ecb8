#!/bin/sh
# Makes a clean Debian 12 root with Python, from where this machine has its own packages: root.sh FOLDER. Run as root.
set -eu
folder=$1
cd "$(dirname "$0")/../../.."
sources=$(sh tests/system/package/sources.sh)
rm -rf "${folder:?}" "$folder.new"
mkdir -p "$(dirname "$folder")"
trap 'rm -rf "$folder.new"' EXIT
printf '%s\n' "$sources" | mmdebstrap --quiet --variant=apt --include=python3 bookworm "$folder.new" -
mv "$folder.new" "$folder"
