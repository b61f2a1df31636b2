# SPDX-License-Identifier: Apache-2.0
# shellcheck shell=sh
# What demo.sh and test.sh share: Debian's packages and the build. Sourced from the top folder.
PARE_BUILD_PACKAGES="gcc libc6-dev make autoconf automake libtool pkg-config libyaml-dev libsqlite3-dev
libjansson-dev nettle-dev zlib1g-dev libpng-dev libjpeg62-turbo-dev libpcre2-dev libutf8proc-dev libelf-dev
liblapacke-dev libopenblas-openmp-dev"
PARE_TEST_PACKAGES="check libdnnl-dev sqlite3 git meson ninja-build"
PARE_JOBS=$(nproc 2>/dev/null || echo 2)

# Install those that are missing, as root or with sudo.
pare_packages() {
    missing=
    for package in "$@"; do
        dpkg-query -W -f '${Status}' "$package" 2>/dev/null | grep -q 'ok installed' || missing="$missing $package"
    done
    [ -n "$missing" ] || return 0
    echo "installing:$missing"
    as_root=
    [ "$(id -u)" -eq 0 ] || as_root=sudo
    $as_root apt-get update -qq && # shellcheck disable=SC2086
        $as_root env DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends $missing >/dev/null
}

# Build out of tree, in the folder named; further arguments go to configure.
pare_build() {
    folder=$1
    shift
    [ -x configure ] && [ configure -nt configure.ac ] || autoreconf -fi >/dev/null 2>&1 || {
        autoreconf -fi
        return 1
    }
    mkdir -p "$folder"
    echo "building in $folder (a minute or two)"
    [ -f "$folder/Makefile" ] || (cd "$folder" && ../configure "$@" >configure.log 2>&1) || {
        tail -n 20 "$folder/configure.log"
        return 1
    }
    make -C "$folder" -j"$PARE_JOBS" -s >"$folder/build.log" 2>&1 || {
        tail -n 40 "$folder/build.log"
        return 1
    }
}
