#!/usr/bin/env bash
# Installs what the named sections of scripts/packages.txt lack, and nothing else: `scripts/need.sh build test`.
# When nothing is missing it makes one local query and no network call. The section e2e also brings
# tests/e2e/node_modules to the state of its package-lock.json.
#
#   FG_INSTALL=no   only say what is missing
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."

missing_packages() # SECTION...
{
    local section package command wanted=()
    while read -r section package command; do
        [[ " $* " == *" $section "* ]] || continue
        [[ -n $command ]] && command -v "$command" >/dev/null && continue
        wanted+=("$package")
    done < <(grep -v -e '^#' -e '^[[:space:]]*$' scripts/packages.txt)
    [[ ${#wanted[@]} -gt 0 ]] || return 0
    # dpkg-query fails when it does not know a package; what it prints is all we ask for.
    comm -23 <(printf '%s\n' "${wanted[@]}" | sort -u) \
             <(dpkg-query -W -f '${db:Status-Status} ${Package}\n' "${wanted[@]}" 2>/dev/null |
               sed -n 's/^installed //p' | sort -u)
}

refuse() # TEXT...
{
    printf 'make: %s\n' "$@" >&2
    exit 1
}

# Debian starts a broker as soon as its package is installed. Ours are started by the tests, on ports of their own,
# so a service that comes with a package is neither started now nor at the next boot.
install_packages() # PACKAGE...
{
    local root=() policy=/usr/sbin/policy-rc.d status=0 disable=no
    if [[ $(id -u) != 0 ]]; then
        command -v sudo >/dev/null || refuse "these Debian packages are missing: $*" \
            "run as root: apt-get install $*"
        root=(sudo)
    fi
    [[ " $* " == *" mosquitto "* && -d /run/systemd/system ]] && disable=yes
    echo "installing Debian packages: $*" >&2
    if [[ ! -e $policy ]]; then
        trap '"${root[@]}" rm -f '"$policy" EXIT
        printf '#!/bin/sh\nexit 101\n' | "${root[@]}" tee "$policy" >/dev/null
        "${root[@]}" chmod 755 "$policy"
    fi
    local apt=("${root[@]}" env DEBIAN_FRONTEND=noninteractive apt-get -q -y)
    { "${apt[@]}" update && "${apt[@]}" install --no-install-recommends "$@"; } >&2 || status=$?
    [[ $disable == yes ]] && "${root[@]}" systemctl disable --now mosquitto >&2
    [[ $status == 0 ]] || refuse "apt-get could not install: $*" "its own words are above"
}

install_modules()
{
    local lock=tests/e2e/package-lock.json stamp=tests/e2e/node_modules/.installed-lock
    cmp -s "$lock" "$stamp" && return
    echo "installing tests/e2e/node_modules" >&2
    (cd tests/e2e && npm ci --no-audit --no-fund --loglevel=error) >&2 ||
        refuse "npm could not install the test clients of tests/e2e/package.json; its own words are above"
    cp "$lock" "$stamp"
}

if command -v dpkg-query >/dev/null; then
    mapfile -t missing < <(missing_packages "$@")
    if [[ ${#missing[@]} -gt 0 ]]; then
        [[ ${FG_INSTALL:-yes} == yes ]] || refuse "these Debian packages are missing: ${missing[*]}"
        command -v apt-get >/dev/null || refuse "these Debian packages are missing and there is no apt-get: ${missing[*]}"
        install_packages "${missing[@]}"
    fi
else
    echo "make: no dpkg here; what scripts/packages.txt lists for '$*' must be there already" >&2
fi
if [[ " $* " == *" e2e "* ]]; then
    install_modules
fi
