#!/bin/sh
# To be sourced. A CI user, or one of a container, may have no home folder, or none that can be written to: caches
# are below the work folder (WORK, default .work) then, and `homeless` is set.
# shellcheck disable=SC2034 # whoever sources this looks at it
homeless=""
if ! { [ -n "${HOME:-}" ] && [ -d "$HOME" ] && [ -w "$HOME" ]; }; then
    homeless=yes
    mkdir -p "${WORK:-.work}"
    UV_CACHE_DIR=${UV_CACHE_DIR:-$(realpath "${WORK:-.work}")/uv-cache}
    PIP_CACHE_DIR=${PIP_CACHE_DIR:-$(realpath "${WORK:-.work}")/pip-cache}
    export UV_CACHE_DIR PIP_CACHE_DIR
fi
