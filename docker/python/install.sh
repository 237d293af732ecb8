#!/bin/sh
# Installs what is bound to /mnt into /opt/corpus: wheels by a lock with hashes, or a wheel without one.
# The tools are bound to /srv. Bytecode is told by the source's content, since nothing here changes.
set -eu
[ -x /opt/corpus/bin/python ] || python3 -m venv --without-pip /opt/corpus
set -- --python /opt/corpus/bin/python --quiet --offline --no-cache --no-index --no-build
if [ -e /mnt/lock ]; then
    # py-tlsh was built of a source whose hash has been checked, and comes as the wheel of that.
    echo py-tlsh > /tmp/built
    /srv/bin/uv pip install "$@" --find-links /mnt --excludes /tmp/built --require-hashes --requirement /mnt/lock
    if grep -q '^py-tlsh==' /mnt/lock; then
        /srv/bin/uv pip install "$@" --no-deps /srv/wheels/py_tlsh-*.whl
    fi
else
    /srv/bin/uv pip install "$@" --no-deps /mnt/*.whl
fi
# What packages test themselves with. And bytecode of what is new: the rest has its own, in a layer below.
rm -f /opt/corpus/.lock
# When each wheel was made into files: of no use here, and another time in each build.
find /opt/corpus -name uv_cache.json -newermt "@$SOURCE_DATE_EPOCH" -delete
find /opt/corpus -name RECORD -newermt "@$SOURCE_DATE_EPOCH" -exec sed -i '/uv_cache\.json/d' {} +
find /opt/corpus -type d -name tests -prune -exec rm -r {} +
find /opt/corpus -name '*.py' -newermt "@$SOURCE_DATE_EPOCH" \
    | /opt/corpus/bin/python -m compileall -q --invalidation-mode unchecked-hash -i -
clean-layer
