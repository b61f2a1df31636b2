#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# How what is here was made, once, when ABI 1.0 was frozen: the header, the four plugins that `pare plugin new` writes,
# and their binaries. Run in Debian 12 (gcc 12.2.0) on x86_64, with the folder of a build: sh freeze.sh BUILD
# Not to be run again for 1.0: the point of these files is that they are old.
set -eu
cd "$(dirname "$0")"
build=$1
tmp=$(mktemp -d)
trap 'rm -rf "$tmp"' EXIT
mkdir -p pare "$(uname -m)"
cp ../../core/include/pare/plugin.h ../../core/include/pare/status.h pare/
for kind in transform score allocate encoding; do
    "$build/pare" plugin new "old-$kind" --kind "$kind" -o "$tmp/$kind"
    cp "$tmp/$kind/old-$kind.c" .
    cc -std=c11 -fPIC -fvisibility=hidden -I. -O2 -shared -s -Wl,--build-id=none -o "$(uname -m)/org.example.old-$kind.so" \
        "old-$kind.c" -lm
done
