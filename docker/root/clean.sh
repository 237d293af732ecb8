#!/bin/sh
# Ends a layer: nothing that differs from build to build stays, and no file is newer than the epoch.
set -eu
# No program makes root of whoever runs it.
find / -xdev -type f -perm /6000 -exec chmod a-s {} +
rm -rf /var/lib/apt/lists/* /var/cache/apt/*.bin /var/cache/apt/archives/*.deb /var/cache/debconf/*-old \
    /var/cache/ldconfig/aux-cache /var/lib/dpkg/*-old /var/log/* /tmp/* /var/tmp/* /root/.cache /etc/*-
# What is mounted read-only during the build is not part of the layer.
find / -xdev -newermt "@$SOURCE_DATE_EPOCH" \( -type l -o -writable \) \
    -exec touch --no-dereference --date "@$SOURCE_DATE_EPOCH" {} +
