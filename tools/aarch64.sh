#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# Cross-compile for aarch64 and run the tests of the kernels and of the engine under qemu-user.
# usage: tools/aarch64.sh FOLDER   (the build; Debian's arm64 packages are unpacked beside it, in
# FOLDER/root, so that the machine's own package lists stay as they are). Exit status 77: the
# packages cannot be had here.
set -eu
cd "$(dirname "$0")/.."
. tools/debian.sh
build=$1 sysroot=$(mkdir -p "$1" && cd "$1" && pwd)/root
lib=$sysroot/usr/lib/aarch64-linux-gnu include=$sysroot/usr/include/aarch64-linux-gnu
pare_packages gcc-aarch64-linux-gnu libc6-dev-arm64-cross qemu-user || exit 77
libraries=
for package in $PARE_BUILD_PACKAGES check; do
    case $package in lib*-dev | *-dev | check) libraries="$libraries $package" ;; esac
done
if [ ! -e "$sysroot/complete" ]; then
    echo "unpacking arm64 packages in $build/root"
    apt=$build/apt
    mkdir -p "$apt/lists/partial" "$apt/archives/partial" "$sysroot"
    : >"$apt/status"
    set -- -qq -o APT::Architecture=arm64 -o APT::Architectures=arm64 -o "Dir::State=$PWD/$apt" \
        -o "Dir::State::status=$PWD/$apt/status" -o "Dir::Cache=$PWD/$apt" -o APT::Sandbox::User=root
    apt-get "$@" update || exit 77
    # shellcheck disable=SC2086
    apt-get "$@" -y --no-install-recommends --download-only install libgcc-12-dev libgomp1 $libraries >/dev/null || exit 77
    for package in "$apt"/archives/*.deb; do
        dpkg-deb -x "$package" "$sysroot"
    done
    # what update-alternatives would have linked
    for file in "$lib"/openblas-openmp/*.so*; do ln -sf "openblas-openmp/${file##*/}" "$lib/"; done
    for file in "$include"/openblas-openmp/*.h; do ln -sf "openblas-openmp/${file##*/}" "$include/"; done
    rm -rf "$apt"
    : >"$sysroot/complete"
fi
export PKG_CONFIG_SYSROOT_DIR="$sysroot" PKG_CONFIG_PATH= \
    PKG_CONFIG_LIBDIR="$lib/pkgconfig:$sysroot/usr/share/pkgconfig"
pare_build "$build" --host=aarch64-linux-gnu --build="$(gcc -dumpmachine)" CFLAGS="-O2 -g1" \
    CC="aarch64-linux-gnu-gcc --sysroot=$sysroot" LDFLAGS="-Wl,-rpath-link,$lib" --enable-werror
make -C "$build" -j"$PARE_JOBS" check LOG_COMPILER="qemu-aarch64 -L $sysroot" \
    TESTS="tests/unit/test_base tests/unit/test_model tests/unit/test_kernels tests/unit/test_engine"
