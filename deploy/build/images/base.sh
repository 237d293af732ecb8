#!/bin/sh
# Makes a Debian base image without a registry: base.sh FOLDER DOCKER NAME. Run as root.
# Whoever builds it of the same packages gets the same bytes: nothing is newer than the epoch, and no
# log, cache or random number is left.
set -eu
folder=$1 docker=$2 name=$3
epoch=1735689600

if ! command -v debootstrap > /dev/null; then
    echo "== Installing debootstrap"
    sh "$(dirname "$0")/../../scripts/apt.sh" update
    sh "$(dirname "$0")/../../scripts/apt.sh" install -y --no-install-recommends debootstrap
fi
# From where this machine has its own packages: the archive, its updates and its security updates.
# shellcheck disable=SC2016 # apt's own names
sources=$(apt-get indextargets --format 'deb $(REPO_URI) $(RELEASE) $(COMPONENT)' 'Created-By: Packages' \
    | grep -E '/? bookworm(-updates|-security)? main$' | sort -u)
mirror=$(printf '%s\n' "$sources" | sed -n 's/^deb \(.*\) bookworm main$/\1/p' | head -n 1)
if [ -z "$mirror" ]; then
    echo "No archive of Debian 12 (bookworm main) is among the sources of apt here: name a base, make images BASE=IMAGE" >&2
    exit 1
fi
rm -rf "${folder:?}"
mkdir -p "$folder"
trap 'rm -rf "$folder"' EXIT
debootstrap --variant=minbase --merged-usr bookworm "$folder" "$mirror"

printf '%s\n' "$sources" > "$folder/etc/apt/sources.list"
# As in Debian's own images: no daemon starts when its package is installed, nothing is kept that apt
# can fetch again, and no manual or translation takes up room. Licences stay.
printf '#!/bin/sh\nexit 101\n' > "$folder/usr/sbin/policy-rc.d"
chmod 755 "$folder/usr/sbin/policy-rc.d"
cat > "$folder/etc/apt/apt.conf.d/docker-clean" << 'END'
DPkg::Post-Invoke { "rm -f /var/cache/apt/archives/*.deb /var/cache/apt/*.bin || true"; };
Dir::Cache::pkgcache "";
Dir::Cache::srcpkgcache "";
Acquire::Languages "none";
Acquire::GzipIndexes "true";
END
cat > "$folder/etc/dpkg/dpkg.cfg.d/docker" << 'END'
force-unsafe-io
path-exclude /usr/share/doc/*
path-include /usr/share/doc/*/copyright
path-exclude /usr/share/info/*
path-exclude /usr/share/locale/*
path-exclude /usr/share/man/*
END
echo "== Installing security updates"
chroot "$folder" apt-get update -q
DEBIAN_FRONTEND=noninteractive chroot "$folder" apt-get upgrade -q -y --no-install-recommends

(
    cd "$folder"
    find usr/share/doc -type f ! -name copyright -delete
    find usr/share/doc -depth -type d -empty -delete
    find usr/share/info usr/share/locale usr/share/man -mindepth 1 -delete
    rm -rf var/lib/apt/lists/* var/cache/apt/* var/cache/debconf/*-old var/cache/ldconfig/aux-cache \
        var/lib/dpkg/*-old var/log/* etc/*- dev/* tmp/* run/*
    : > etc/machine-id
    # Docker mounts its own over these; where they are not there, it makes and unmakes them, and /etc changes.
    : > etc/hosts
    : > etc/hostname
    : > etc/resolv.conf
)

echo "== Importing $name"
tar --sort=name --numeric-owner --mtime="@$epoch" --clamp-mtime --one-file-system -C "$folder" -c . \
    | "$docker" import --change 'CMD ["sh"]' - "$name"
