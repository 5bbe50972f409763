# Sourced by the scripts that install Debian packages for the tests. None of them leaves a service running.
# shellcheck shell=bash

policy=/usr/sbin/policy-rc.d

require_debian_root() { # PACKAGE...
    local me
    me=$(basename "$0")
    command -v apt-get >/dev/null || { echo "$me: this is not Debian; install these yourself: $*" >&2; exit 1; }
    [ "$(id -u)" = 0 ] || { echo "$me: run me as root to install: $*" >&2; exit 1; }
}

# Debian starts a service when its package is installed; one on a default port or socket would be the tests' accident.
forbid_service_starts() {
    [ -e "$policy" ] && return
    printf '#!/bin/sh\nexit 101\n' >"$policy"
    chmod 755 "$policy"
    trap 'rm -f "$policy"' EXIT
}

# The policy above lasts as long as the script; without this the services would come up at the next boot.
disable_services() { # SERVICE...
    command -v systemctl >/dev/null || return 0
    systemctl disable "$@" >/dev/null 2>&1 || true
}

install_packages() { # PACKAGE...
    forbid_service_starts
    DEBIAN_FRONTEND=noninteractive apt-get install --quiet --yes --no-install-recommends "$@"
}
